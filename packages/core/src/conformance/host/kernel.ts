import { release } from 'node:os'

/** The kernel as reports have it. */
export function kernelText(): string {
  return `${process.platform} ${release()}`
}
