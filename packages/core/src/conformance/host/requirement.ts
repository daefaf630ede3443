/**
 * What a case needs of its host, and the words in which it is left out where that is missing.
 *
 * `GRAPHDRIVER_REQUIRE` turns a missing prerequisite into a failure: a list, separated by commas, of what must be
 * there (a driver's name, a filesystem's, a command's, or `root`), or `all`.
 */
import { accessSync, constants } from 'node:fs'
import path from 'node:path'

export interface Requirement {
  /** Effective user id 0. */
  readonly root?: true | undefined
  /** A program in `PATH` or where the system keeps its own. */
  readonly command?: string | undefined
  /** The Debian package of `command`, where it has another name. */
  readonly package?: string | undefined
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

/** Why one requirement is not met; undefined when it is. */
export function unmet({ root, command, package: name }: Requirement): string | undefined {
  if (root === true && process.geteuid?.() !== 0) return 'needs root'
  if (command !== undefined && findCommand(command) === undefined) {
    return `needs ${command} (Debian package ${name ?? command})`
  }
  return undefined
}

/** The names of a requirement, as `GRAPHDRIVER_REQUIRE` may give them. */
export function namesOf({ root, command }: Requirement): readonly string[] {
  return [...(root === true ? ['root'] : []), ...(command === undefined ? [] : [command])]
}

/** Whether `GRAPHDRIVER_REQUIRE` has `all` or one of these names. */
export function isRequired(...names: readonly string[]): boolean {
  const required = (process.env['GRAPHDRIVER_REQUIRE'] ?? '').split(',').map((name) => name.trim())
  return required.includes('all') || names.some((name) => required.includes(name))
}
