/**
 * What a case needs of its host, and the words in which it skips where that is missing.
 *
 * ```ts
 * test('umoci sees the same tree', async ({ skip }) => {
 *   const missing = need({ root: true, command: 'umoci' })
 *   skip(missing !== undefined, missing)
 * ```
 */
import { accessSync, constants, readFileSync } from 'node:fs'
import { release } from 'node:os'
import path from 'node:path'
import debianPackages from '../debian-packages.json' with { type: 'json' }

export interface Requirement {
  /** Effective user id 0. */
  readonly root?: true | undefined
  /** A program in `PATH` or where the system keeps its own. */
  readonly command?: string | undefined
  /** The Debian package of `command`, where `debian-packages.json` does not tell it. */
  readonly package?: string | undefined
  /** A filesystem type that the running kernel has or can load. */
  readonly kernelFilesystem?: string | undefined
}

/** Programs for root are often outside of an ordinary user's PATH. */
const systemDirectories = ['/usr/local/sbin', '/usr/sbin', '/sbin']

/** The path of a program, if the host has it. */
export function findCommand(name: string): string | undefined {
  const searched = [...(process.env['PATH'] ?? '').split(path.delimiter), ...systemDirectories]
  return searched
    .filter((directory) => directory !== '')
    .map((directory) => path.join(directory, name))
    .find((file) => {
      try {
        accessSync(file, constants.X_OK)
        return true
      } catch {
        return false
      }
    })
}

function packageOf(requirement: Requirement, name: string): string {
  const listed = Object.entries(debianPackages).find(([, { commands }]) => commands.includes(name))
  return requirement.package ?? listed?.[0] ?? name
}

function readIfThere(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}

function kernelHas(kind: string): boolean {
  const registered = readIfThere('/proc/filesystems').split('\n')
  if (registered.some((line) => line.split('\t')[1] === kind)) return true
  // Not loaded yet, perhaps: mount(2) asks for the module itself.
  const modules = `/lib/modules/${release()}`
  const known = readIfThere(`${modules}/modules.dep`) + readIfThere(`${modules}/modules.builtin`)
  return new RegExp(String.raw`/${kind}\.ko\b`).test(known)
}

function missing(requirement: Requirement): string | undefined {
  if (requirement.root === true && process.geteuid?.() !== 0) return 'needs root'
  const { command, kernelFilesystem } = requirement
  if (command !== undefined && findCommand(command) === undefined) {
    return `needs ${command} (Debian package ${packageOf(requirement, command)})`
  }
  if (kernelFilesystem !== undefined && !kernelHas(kernelFilesystem)) {
    return `needs ${kernelFilesystem} in the kernel`
  }
  return undefined
}

/** Why a case cannot run here, or undefined when it can. All requirements must be met; the first that is not speaks. */
export function need(...requirements: readonly Requirement[]): string | undefined {
  for (const requirement of requirements) {
    const reason = missing(requirement)
    if (reason !== undefined) return reason
  }
  return undefined
}
