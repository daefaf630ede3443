/** A command that serves, as a process of its own. */
import { createInterface } from 'node:readline'
import { execa } from 'execa'
import { program } from './graphdriver.ts'

export interface ServingProcess extends AsyncDisposable {
  readonly kill: (signal: 'SIGKILL' | 'SIGTERM') => Promise<void>
}

/** Starts it, and waits for the line that says that it serves. */
export async function startServing(...args: readonly string[]): Promise<ServingProcess> {
  const serving = execa(process.execPath, [program, ...args], { reject: false, stdin: 'ignore' })
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  createInterface(serving.stdout).on('line', () => resolve())
  void serving.then(({ stderr }) => reject(new Error(`${args[0] ?? ''} ended before it served: ${stderr}`)))
  await promise
  const kill: ServingProcess['kill'] = async (signal) => {
    serving.kill(signal)
    await serving
  }
  return { kill, [Symbol.asyncDispose]: () => kill('SIGTERM') }
}

/** `graphdriver containerd-snapshotter` as a process of its own. */
export function startSnapshotter(driver: string, root: string, socket: string): Promise<ServingProcess> {
  return startServing('containerd-snapshotter', '--driver', driver, '--root', root, '--socket', socket)
}
