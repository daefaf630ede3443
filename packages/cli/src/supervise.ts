import type { EndingSignal, Interruption } from './interruption.ts'
import type { RunningContainer } from './runtime/container-runtime.ts'

/** What `docker stop` waits before it stops asking, in milliseconds. */
const grace = 10_000
/** Somebody who presses Ctrl-C this often means it. */
const patience = 3

/**
 * Waits for a container's process, and hands it the signals that we get: SIGINT is its own business, SIGTERM and
 * SIGHUP are made good by SIGKILL after a while, since whoever sends those to us wants all of us gone.
 */
export async function supervise(container: RunningContainer, interruption: Interruption): Promise<number> {
  let asked = 0
  let deadline: NodeJS.Timeout | undefined
  const receive = (signal: EndingSignal): void => {
    asked += 1
    if (asked >= patience) void container.signal('SIGKILL')
    // The terminal has sent this one to every process of its foreground group, the container's among them.
    else if (signal !== 'SIGINT' || !process.stdin.isTTY) void container.signal(signal)
    if (signal !== 'SIGINT') deadline ??= setTimeout(() => void container.signal('SIGKILL'), grace)
  }
  using _ = interruption.divert(receive)
  try {
    return await container.exit
  } finally {
    clearTimeout(deadline)
  }
}
