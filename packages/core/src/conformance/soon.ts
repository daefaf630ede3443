import { setTimeout } from 'node:timers/promises'

/** Milliseconds. */
const patience = 5000

/**
 * What a driver may finish behind its caller: what it has unmounted goes when the kernel has flushed it, what is large is
 * removed by and by. What is not so after seconds never will be.
 *
 * @throws what `check` throws in the end
 */
export async function soon(check: () => Promise<void> | void): Promise<void> {
  for (const end = performance.now() + patience; ; await setTimeout(10)) {
    try {
      await check()
      return
    } catch (error) {
      if (performance.now() > end) throw error
    }
  }
}
