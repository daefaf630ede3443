/** Does something over and over, several at a time. @returns how long each took, in milliseconds */
export async function inTurns(
  count: number,
  width: number,
  action: (index: number) => Promise<void>,
): Promise<readonly number[]> {
  const times: number[] = []
  let next = 0
  const one = async (): Promise<void> => {
    while (next < count) {
      const index = next++
      const start = performance.now()
      await action(index)
      times.push(performance.now() - start)
    }
  }
  await Promise.all(Array.from({ length: width }, one))
  return times
}
