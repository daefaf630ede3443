/** A pool in a volume group, made of a blank device by LVM's commands, as Docker makes it. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { GraphDriverError } from '@graphdriver/core'
import { CommandError, findCommand, run, writeAtomically } from '@graphdriver/sys'
import { deviceState } from '@graphdriver/sys/devicemapper'
import type { DirectLvmOptions } from './options.ts'

/** What the device mapper calls the pool: Docker's volume group and volume. */
export const lvmPool = 'docker-thinpool'
const [group, volume] = ['docker', 'thinpool']
const profile = 'docker-thinpool'
const profileFile = `/etc/lvm/profile/${profile}.profile`

const usual = {
  thinpPercent: 95,
  thinpMetaPercent: 1,
  autoExtendPercent: 20,
  autoExtendThreshold: 80,
} as const

/** Docker's record of how it was made: what the user said, 0 for what was left out. */
interface SetupConfig {
  readonly Device: string
  readonly ThinpPercent: number
  readonly ThinpMetaPercent: number
  readonly AutoExtendPercent: number
  readonly AutoExtendThreshold: number
}

function configOf(options: DirectLvmOptions): SetupConfig {
  return {
    Device: options.device,
    ThinpPercent: options.thinpPercent,
    ThinpMetaPercent: options.thinpMetaPercent,
    AutoExtendPercent: options.autoExtendPercent,
    AutoExtendThreshold: options.autoExtendThreshold,
  }
}

function configFile(home: string): string {
  return path.join(home, 'setup-config.json')
}

/** @returns undefined where no pool was made so */
function readConfig(home: string): SetupConfig | undefined {
  const file = configFile(home)
  if (!existsSync(file)) return undefined
  const config = JSON.parse(readFileSync(file, 'utf8')) as SetupConfig
  return config.Device === '' ? undefined : config
}

/** Whether the home's pool is one that was made before. */
export function madeByLvm(home: string): boolean {
  return readConfig(home) !== undefined
}

/**
 * Makes the pool, unless it was made before, and activates it.
 *
 * @param options undefined where nobody asks for one; then it is one that was made before, if any
 * @returns the pool's name, or undefined for none
 * @throws GD_INVALID_OPTION for another way than it was made, GD_POOL_UNUSABLE for a device that holds something,
 *   GD_MISSING_PREREQUISITE, CommandError
 */
export async function ensureLvmPool(
  home: string,
  options: DirectLvmOptions | undefined,
): Promise<string | undefined> {
  const made = readConfig(home)
  if (made === undefined) {
    if (options === undefined) return undefined
    demandPrograms()
    if (!options.force) await demandBlank(options.device)
    await makePool(options)
    await writeAtomically(configFile(home), JSON.stringify(configOf(options)))
  } else if (options !== undefined && JSON.stringify(made) !== JSON.stringify(configOf(options))) {
    throw new GraphDriverError(
      'GD_INVALID_OPTION',
      `devicemapper: the pool was made of ${made.Device}, in another way than the options dm.directlvm_device and ` +
        'dm.thinp_… say now, which cannot be changed afterwards: leave them out',
      { option: 'directlvm_device', value: options.device },
    )
  }
  if (deviceState(lvmPool) === undefined) await run('lvchange', ['-ay', `${group}/${volume}`])
  return lvmPool
}

const programs = ['pvcreate', 'vgcreate', 'lvcreate', 'lvconvert', 'lvchange', 'pvs', 'blkid', 'thin_check']

function demandPrograms(): void {
  const missing = programs.find((program) => findCommand(program) === undefined)
  if (missing === undefined) return
  const remedy = 'install LVM and the tools of thin pools (Debian packages lvm2, thin-provisioning-tools)'
  throw new GraphDriverError(
    'GD_MISSING_PREREQUISITE',
    `devicemapper: ${missing} is not installed; ${remedy}`,
    {
      missing,
    },
  )
}

/** @throws GD_POOL_UNUSABLE */
async function demandBlank(device: string): Promise<void> {
  const found = (await groupOf(device)) ?? (await contentOf(device))
  if (found === undefined) return
  throw new GraphDriverError(
    'GD_POOL_UNUSABLE',
    `devicemapper: ${device} holds ${found}; if nobody needs it, give dm.directlvm_device_force=true, or clear it ` +
      `(vgremove, pvremove, wipefs -a ${device})`,
    { pool: device, reason: 'foreign' },
  )
}

async function groupOf(device: string): Promise<string | undefined> {
  try {
    return parseGroups((await run('pvs', ['--noheadings', '-o', 'vg_name', device])).stdout)
  } catch (error) {
    if (error instanceof CommandError && isNoVolume(error.stderr)) return undefined
    throw error
  }
}

/** What `pvs --noheadings -o vg_name` says of a device: the name of its group, or white space. */
export function parseGroups(stdout: string): string {
  const name = stdout.trim()
  return name === '' ? 'a physical volume of LVM' : `a part of the volume group ${name}`
}

/** Whether `pvs` failed because the device is no physical volume. */
export function isNoVolume(stderr: string): boolean {
  return /Failed to find physical volume|No physical volume found|Cannot use .*: device/.test(stderr)
}

async function contentOf(device: string): Promise<string | undefined> {
  try {
    const { stdout } = await run('blkid', ['-p', '-o', 'export', device])
    return parseContent(stdout)
  } catch (error) {
    // Nothing was found.
    if (error instanceof CommandError && error.exitCode === 2) return undefined
    throw error
  }
}

/** What `blkid -p -o export` says of a device. */
export function parseContent(stdout: string): string | undefined {
  const words = new Map(
    stdout.split('\n').map((line) => [line.replace(/=.*/, ''), line.replace(/^[^=]*=/, '')]),
  )
  const type = words.get('TYPE') ?? words.get('PTTYPE')
  return type === undefined || type === ''
    ? undefined
    : `${words.has('TYPE') ? 'something' : 'a partition table'} (${type})`
}

async function makePool(options: DirectLvmOptions): Promise<void> {
  const { device, force } = options
  const percent = options.thinpPercent === 0 ? usual.thinpPercent : options.thinpPercent
  const metaPercent = options.thinpMetaPercent === 0 ? usual.thinpMetaPercent : options.thinpMetaPercent
  const metadata = `${volume}meta`
  const part = (name: string, size: number): Promise<unknown> =>
    run('lvcreate', ['--yes', '--wipesignatures', 'y', '-n', name, group, '--extents', `${size}%VG`])
  await run('pvcreate', [...(force ? ['--yes', '-ff'] : ['-f']), device])
  await run('vgcreate', [group, device])
  await part(volume, percent)
  await part(metadata, metaPercent)
  const pool = ['--thinpool', `${group}/${volume}`, '--poolmetadata', `${group}/${metadata}`]
  await run('lvconvert', ['-y', '--zero', 'n', '-c', '512K', ...pool])
  mkdirSync(path.dirname(profileFile), { recursive: true })
  writeFileSync(profileFile, profileText(options), { mode: 0o600 })
  await run('lvchange', ['--metadataprofile', profile, `${group}/${volume}`])
}

/** When the pool is to be extended by LVM's monitor, and by how much. */
export function profileText({ autoExtendPercent, autoExtendThreshold }: DirectLvmOptions): string {
  const threshold = autoExtendThreshold === 0 ? usual.autoExtendThreshold : autoExtendThreshold
  const percent = autoExtendPercent === 0 ? usual.autoExtendPercent : autoExtendPercent
  return [
    'activation {',
    `  thin_pool_autoextend_threshold=${threshold}`,
    `  thin_pool_autoextend_percent=${percent}`,
    '}',
    '',
  ].join('\n')
}
