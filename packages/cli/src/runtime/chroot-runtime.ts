import { readFileSync } from 'node:fs'
import path from 'node:path'
import { CommandError, findCommand, isSystemError, run } from '@graphdriver/sys'
import { initVerb } from '../init-verb.ts'
import { startProgram } from '../process.ts'
import type { Container, ContainerRuntime, RunningContainer } from './container-runtime.ts'

/**
 * Runs a container with what util-linux has: unshare(1) for namespaces of its own, `chroot-init.ts` in them for the
 * mounts, and chroot(2) by unshare again. It needs no cgroups; it isolates less than runc, for it filters no system
 * calls.
 */
export class ChrootRuntime implements ContainerRuntime {
  readonly name = 'chroot'
  readonly mapsUsers = false
  readonly #unshare: string

  constructor(unshare: string) {
    this.#unshare = unshare
  }

  async trial(container: Container): Promise<string | undefined> {
    const [command = '', ...args] = this.#commandLine(container, '--trial')
    try {
      await run(command, args, { timeout: 30_000 })
      return undefined
    } catch (error) {
      if (error instanceof CommandError) return error.stderr.replace(/^graphdriver: /, '') || error.message
      throw error
    }
  }

  async start(container: Container): Promise<RunningContainer> {
    const [command = '', ...args] = this.#commandLine(container)
    const program = await startProgram(command, args)
    return {
      exit: program.exit,
      signal: async (signal) => {
        const children = program.pid === undefined ? [] : childrenOf(program.pid)
        // While it waits for its child, unshare(1) blocks the signals that end others.
        for (const pid of children) process.kill(pid, signal)
        if (children.length === 0) program.kill(signal)
      },
    }
  }

  #commandLine({ bundle, spec }: Container, ...flags: readonly string[]): readonly string[] {
    const setpriv = findCommand('setpriv')
    const init = [
      process.execPath,
      process.argv[1] ?? '',
      initVerb,
      path.join(bundle, 'config.json'),
      ...flags,
    ]
    const namespaces = spec.linux.namespaces
      .map(({ type }) => `--${type}`)
      .filter((flag) => flag !== '--user')
    const unshare = [this.#unshare, ...namespaces, '--fork', '--kill-child', '--', ...init]
    // So that no container outlives a command that was killed.
    return setpriv === undefined ? unshare : [setpriv, '--pdeathsig', 'KILL', '--', ...unshare]
  }
}

/** Needs CONFIG_PROC_CHILDREN, which every distribution sets. */
function childrenOf(pid: number): readonly number[] {
  try {
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
    return text.trim().split(' ').filter(Boolean).map(Number)
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ESRCH')) return []
    throw error
  }
}
