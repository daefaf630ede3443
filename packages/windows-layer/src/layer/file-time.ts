/** Times of Windows: a FILETIME counts 100 ns since 1601 (winnt.h); here times are nanoseconds since 1970. */

const unixEpoch = 116_444_736_000_000_000n

/** @returns the FILETIME; what is less than 100 ns is cut, as is what was before 1601 */
export function fileTimeOf(ns: bigint): bigint {
  const time = ns / 100n - (ns < 0n && ns % 100n !== 0n ? 1n : 0n) + unixEpoch
  return time < 0n ? 0n : time
}

export function nanosecondsOf(fileTime: bigint): bigint {
  return (fileTime - unixEpoch) * 100n
}
