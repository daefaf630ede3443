/**
 * Where two trees may differ, when a filesystem can tell: it spares a comparison all that lies elsewhere. Crosses threads
 * as it is.
 */
export interface Touched {
  /** Names in this directory may have come or gone. */
  listed: boolean
  /** What in it may differ, or leads to what may; names with a character per byte. */
  readonly children: Map<string, Touched>
}

export function untouched(): Touched {
  return { listed: false, children: new Map() }
}

/** Notes that the file of a path, name by name, may differ. @returns its place */
export function touch(root: Touched, names: readonly Buffer[]): Touched {
  let place = root
  for (const name of names) {
    const key = name.toString('latin1')
    const next = place.children.get(key) ?? untouched()
    place.children.set(key, next)
    place = next
  }
  return place
}
