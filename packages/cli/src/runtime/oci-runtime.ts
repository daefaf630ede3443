import { mkdir, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import type { RuntimeSpec } from '@graphdriver/image'
import { CommandError, isSystemError, run } from '@graphdriver/sys'
import { startProgram } from '../process.ts'
import {
  type Container,
  type ContainerRuntime,
  RuntimeFailure,
  type RunningContainer,
} from './container-runtime.ts'

/** runc and crun, which share one command line. */
export class OciRuntime implements ContainerRuntime {
  readonly name: string
  readonly mapsUsers = true
  readonly #command: string

  constructor(name: string, command: string) {
    this.name = name
    this.#command = command
  }

  async trial({ id, state, spec }: Container): Promise<string | undefined> {
    const trial = `${id}-trial`
    const directory = path.join(state, 'trial')
    await writeTrialBundle(directory, spec)
    const log = path.join(directory, 'log')
    try {
      const command = [
        '--root',
        state,
        '--log',
        log,
        '--log-format',
        'json',
        'create',
        '--bundle',
        directory,
        trial,
      ]
      // What it creates goes on holding the pipes that it was given, and would be waited for.
      const { exit } = await startProgram(this.#command, command, { mute: true })
      const code = await exit
      return code === 0 ? undefined : ((await lastError(log)) ?? `ended with ${code}`)
    } finally {
      await this.#delete(state, trial)
    }
  }

  async start({ id, bundle, state }: Container): Promise<RunningContainer> {
    await mkdir(state, { recursive: true })
    const log = path.join(state, 'log')
    const command = ['--root', state, '--log', log, '--log-format', 'json', 'run', '--bundle', bundle, id]
    const program = await startProgram(this.#command, command)
    return {
      exit: this.#finish(program.exit, log, { state, id }),
      signal: async (signal) => {
        if (signal === 'SIGKILL') await this.#kill(state, id)
        else program.kill(signal)
      },
    }
  }

  async #finish(
    exit: Promise<number>,
    log: string,
    { state, id }: Pick<Container, 'state' | 'id'>,
  ): Promise<number> {
    try {
      const code = await exit
      const complaint = code === 0 ? undefined : await lastError(log)
      if (complaint !== undefined) throw new RuntimeFailure(`${this.name} could not: ${complaint}`)
      return code
    } finally {
      await this.#delete(state, id)
    }
  }

  async #kill(state: string, id: string): Promise<void> {
    await ignoreCommandError(run(this.#command, ['--root', state, 'kill', id, 'KILL']))
  }

  /** What has gone by itself is not there to be deleted. */
  async #delete(state: string, id: string): Promise<void> {
    await ignoreCommandError(
      run(this.#command, ['--root', state, 'delete', '--force', id], { timeout: 30_000 }),
    )
  }
}

/** A terminal needs somebody at the other end, and is not what is tried. */
async function writeTrialBundle(directory: string, spec: RuntimeSpec): Promise<void> {
  await mkdir(directory, { recursive: true })
  const trial = { ...spec, process: { ...spec.process, terminal: false } }
  await writeFile(path.join(directory, 'config.json'), JSON.stringify(trial))
}

async function ignoreCommandError(work: Promise<unknown>): Promise<void> {
  try {
    await work
  } catch (error) {
    if (!(error instanceof CommandError)) throw error
  }
}

/** The runtime's last complaint in its log of JSON lines; a process that fails by itself leaves none. */
async function lastError(log: string): Promise<string | undefined> {
  let text: string
  try {
    text = await readFile(log, 'utf8')
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return undefined
    throw error
  }
  return text
    .split('\n')
    .map(errorIn)
    .findLast((message) => message !== undefined)
}

function errorIn(line: string): string | undefined {
  try {
    const entry: unknown = JSON.parse(line)
    if (typeof entry !== 'object' || entry === null || !('msg' in entry) || !('level' in entry))
      return undefined
    return entry.level === 'error' && typeof entry.msg === 'string' ? entry.msg : undefined
  } catch {
    return undefined
  }
}
