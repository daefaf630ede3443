import { execa, execaSync } from 'execa'

/** What the lab asks of a program: C locale for output that is read, no input that could be waited for. */
const settings = {
  stdin: 'ignore',
  env: { LC_ALL: 'C', DEBIAN_FRONTEND: 'noninteractive' },
  maxBuffer: 256 * 1024 * 1024,
} as const

export interface CommandOptions {
  readonly cwd?: string | undefined
  readonly signal?: AbortSignal | undefined
}

/** Runs a program to its end and gives its standard output; failure throws with what it wrote to standard error. */
export async function command(
  file: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<string> {
  const { stdout } = await execa(file, args, {
    ...settings,
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.signal === undefined ? {} : { cancelSignal: options.signal }),
  })
  return stdout
}

/** The same for an exit handler, where nothing asynchronous runs any more. */
export function commandSync(file: string, args: readonly string[]): string {
  return execaSync(file, args, settings).stdout
}
