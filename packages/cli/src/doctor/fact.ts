import { isSystemError } from '@graphdriver/sys'

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

/** A "yes" where it can be done, a "no" with what the system says. */
export function tried(id: string, title: string, attempt: () => void, remedy: string): Fact {
  try {
    attempt()
    return yes(id, title)
  } catch (error) {
    if (!isSystemError(error)) throw error
    return no(id, title, error.message, remedy)
  }
}
