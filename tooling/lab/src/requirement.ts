/**
 * What a case needs of its host, and the words in which it skips where that is missing.
 *
 * ```ts
 * test('umoci sees the same tree', async ({ skip }) => {
 *   const missing = need({ root: true, command: 'umoci' })
 *   skip(missing !== undefined, missing)
 * ```
 */
import { readFileSync } from 'node:fs'
import { release } from 'node:os'
import {
  isRequired,
  namesOf,
  type Requirement as HostRequirement,
  unmet,
} from '@graphdriver/core/conformance'
import debianPackages from '../debian-packages.json' with { type: 'json' }

export interface Requirement extends HostRequirement {
  /** A filesystem type that the running kernel has or can load. */
  readonly kernelFilesystem?: string | undefined
}

/** The Debian package of a command, where `debian-packages.json` tells it. */
function packageOf(command: string | undefined): string | undefined {
  return Object.entries(debianPackages).find(([, { commands }]) =>
    commands.some((name) => name === command),
  )?.[0]
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
  const { kernelFilesystem } = requirement
  const reason = unmet({ ...requirement, package: requirement.package ?? packageOf(requirement.command) })
  if (reason !== undefined) return reason
  return kernelFilesystem === undefined || kernelHas(kernelFilesystem)
    ? undefined
    : `needs ${kernelFilesystem} in the kernel`
}

/**
 * Why a case cannot run here, or undefined when it can. All requirements must be met; the first that is not speaks.
 *
 * @throws Error where `GRAPHDRIVER_REQUIRE` asks for what is missing
 */
export function need(...requirements: readonly Requirement[]): string | undefined {
  for (const requirement of requirements) {
    const reason = missing(requirement)
    if (reason === undefined) continue
    const { kernelFilesystem } = requirement
    const names = [...namesOf(requirement), ...(kernelFilesystem === undefined ? [] : [kernelFilesystem])]
    if (isRequired(...names))
      throw new Error(`GRAPHDRIVER_REQUIRE asks for ${names.join(' and ')}: ${reason}`)
    return reason
  }
  return undefined
}
