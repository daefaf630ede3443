import { randomBytes } from 'node:crypto'

/** A name that nobody has: like Docker's short ids, which also serve as host names. */
export function randomName(): string {
  for (;;) {
    const name = randomBytes(6).toString('hex')
    if (/[a-f]/.test(name)) return name
  }
}
