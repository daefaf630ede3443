/** One thing that is so on this host, or is not. */
export interface Fact {
  /** It never changes. */
  readonly id: string
  readonly title: string
  readonly answer: 'yes' | 'no'
  /** What was seen. */
  readonly detail?: string | undefined
  /** Of a "no" that somebody could want otherwise. */
  readonly remedy?: string | undefined
}

export function yes(id: string, title: string, detail?: string): Fact {
  return { id, title, answer: 'yes', detail }
}

export function no(id: string, title: string, detail: string, remedy?: string): Fact {
  return { id, title, answer: 'no', detail, remedy }
}
