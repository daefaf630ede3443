/** Programs of the system, run as witnesses: argument arrays, the C locale, and no input that could be waited for. */
import { execFile, execFileSync } from 'node:child_process'

export interface CommandOptions {
  readonly cwd?: string | undefined
  readonly signal?: AbortSignal | undefined
  /** `latin1` for one character per byte, where what is printed need not be UTF-8; `utf8` by default. */
  readonly encoding?: 'utf8' | 'latin1' | undefined
}

function settings(options: CommandOptions): {
  readonly env: NodeJS.ProcessEnv
  readonly maxBuffer: number
  readonly encoding: 'utf8' | 'latin1'
  readonly cwd?: string
} {
  const env = { ...process.env, LC_ALL: 'C', DEBIAN_FRONTEND: 'noninteractive' }
  const standard = { env, maxBuffer: 256 * 1024 * 1024, encoding: options.encoding ?? 'utf8' }
  return options.cwd === undefined ? standard : { ...standard, cwd: options.cwd }
}

/** Runs a program to its end and gives its standard output; failure throws with what it wrote to standard error. */
export function command(
  file: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<string> {
  return new Promise((resolve, reject) => {
    const { signal } = options
    const all = { ...settings(options), ...(signal === undefined ? {} : { signal }) }
    const child = execFile(file, args, all, (error, stdout) => {
      if (error === null) resolve(stdout)
      else reject(error)
    })
    child.stdin?.end()
  })
}

/** The same for an exit handler, where nothing asynchronous runs any more. */
export function commandSync(file: string, args: readonly string[]): string {
  return execFileSync(file, args, { ...settings({}), stdio: ['ignore', 'pipe', 'pipe'] })
}
