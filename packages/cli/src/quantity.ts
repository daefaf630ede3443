/** Quantities as people read them. */

const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB']

/** Bytes in powers of 1000, three digits. */
export function formatBytes(bytes: number): string {
  let amount = bytes
  let unit = 0
  while (amount >= 999.5 && unit < units.length - 1) {
    amount /= 1000
    unit += 1
  }
  const digits = unit === 0 || amount >= 99.95 ? 0 : amount >= 9.995 ? 1 : 2
  return `${amount.toFixed(digits)} ${units[unit] ?? ''}`
}

/** A digest in the length that people compare. */
export function shortDigest(digest: string): string {
  return digest.replace(/^sha256:/, '').slice(0, 12)
}

export function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}

/** Milliseconds with the digits that mean something. */
export function formatMilliseconds(milliseconds: number): string {
  const digits = milliseconds < 10 ? 3 : milliseconds < 1000 ? 1 : 0
  return milliseconds.toFixed(digits)
}
