import type { Prepared } from './work.ts'

/** Makes what all rounds share, and takes down what is in `resources`: after the rounds, or at once when it cannot be made. */
export async function prepared(
  make: (resources: AsyncDisposableStack) => Promise<Pick<Prepared, 'contenders' | 'notes'>>,
): Promise<Prepared> {
  await using resources = new AsyncDisposableStack()
  const made = await make(resources)
  const kept = resources.move()
  return { ...made, [Symbol.asyncDispose]: () => kept.disposeAsync() }
}
