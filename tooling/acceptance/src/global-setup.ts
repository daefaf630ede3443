import { debianImage, debianImageRequirements, need, reap } from '@tooling/lab'

/** Builds the test image once, before workers would each wait for it; clears up what killed runs have left. */
export default async function setUp(): Promise<() => void> {
  reap()
  if (need(...debianImageRequirements) === undefined) await debianImage()
  return () => {
    reap()
  }
}
