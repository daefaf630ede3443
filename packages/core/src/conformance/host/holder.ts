import { spawn } from 'node:child_process'

/** A process that holds something for as long as it is not disposed of. */
export interface Holder extends AsyncDisposable {
  readonly pid: number
}

export interface HolderOptions {
  /** The holder's working directory. */
  readonly cwd?: string | undefined
  /** Programs that change what the shell runs in, such as `unshare --mount`. */
  readonly through?: readonly string[] | undefined
}

/**
 * Starts a shell that says when it is there, and then waits for the end of its input: nothing here takes time, and
 * whatever becomes of this process, the holder ends with it.
 */
export async function hold({ cwd, through = [] }: HolderOptions = {}): Promise<Holder> {
  const [program, ...args] = [...through, 'sh', '-c', 'echo ready; read -r line']
  const child = spawn(program, args, { cwd, stdio: ['pipe', 'pipe', 'inherit'] })
  const ended = new Promise<void>((resolve) => {
    child.once('close', () => resolve())
  })
  await new Promise<void>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => reject(new Error(`${program} ended with ${code} before it held anything`)))
    child.stdout.once('data', () => resolve())
  })
  return {
    pid: child.pid ?? 0,
    async [Symbol.asyncDispose]() {
      child.stdin.end()
      await ended
    },
  }
}
