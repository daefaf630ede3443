/** Programs of the system, run as witnesses: argument arrays, the C locale, and no input that could be waited for. */
import { execFile, execFileSync } from 'node:child_process'
import { Shell } from './shell.ts'

export interface CommandOptions {
  readonly cwd?: string | undefined
  /** `latin1` for one character per byte, where what is printed need not be UTF-8; `utf8` by default. */
  readonly encoding?: 'utf8' | 'latin1' | undefined
}

const maxBuffer = 256 * 1024 * 1024

function programEnvironment(): NodeJS.ProcessEnv {
  return { ...process.env, LC_ALL: 'C', DEBIAN_FRONTEND: 'noninteractive' }
}

let shell: Shell | undefined

/** The shell that starts programs here: no case's, and no leak. */
export function shellPid(): number | undefined {
  return shell?.pid
}

/** Runs a program to its end and gives its standard output; failure throws with what it wrote to standard error. */
export async function command(
  file: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<string> {
  if (process.platform === 'win32' || shell?.isFree === false) return directly(file, args, options)
  shell ??= new Shell(programEnvironment())
  const { status, stdout, stderr } = await shell.run([file, ...args], options.cwd ?? process.cwd())
  if (status === 0) return stdout.toString(options.encoding)
  throw new Error(`Command failed: ${[file, ...args].join(' ')}\n${stderr.toString()}`)
}

/** Of programs that run at the same time, all but one. */
function directly(
  file: string,
  args: readonly string[],
  { cwd, encoding = 'utf8' }: CommandOptions,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const settings = { env: programEnvironment(), maxBuffer, encoding, ...(cwd === undefined ? {} : { cwd }) }
    const child = execFile(file, args, settings, (error, stdout) => {
      if (error === null) resolve(stdout)
      else reject(error)
    })
    child.stdin?.end()
  })
}

/** The same for an exit handler, where nothing asynchronous runs any more. */
export function commandSync(file: string, args: readonly string[]): string {
  const settings = { env: programEnvironment(), maxBuffer, encoding: 'utf8' } as const
  return execFileSync(file, args, { ...settings, stdio: ['ignore', 'pipe', 'pipe'] })
}
