/**
 * `npm run drivers`: every driver beside the others on each filesystem that it is for, by `graphdriver bench`, into
 * docs/drivers.{json,md,svg}. What this kernel has not is measured in a guest, with two that it has as a yardstick.
 *
 * - `--containers N`, by default 1000
 * - `--place NAME`, may be repeated: only there; the others stay as they are
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { parseArgs } from 'node:util'
import {
  bytesText,
  filesystem,
  type FilesystemKind,
  missingGuest,
  runInGuest,
  temporaryDirectory,
} from '@tooling/lab'
import { execa } from 'execa'
import { machine, type Report } from './report.ts'

const { values } = parseArgs({
  options: {
    containers: { type: 'string', default: '1000' },
    place: { type: 'string', multiple: true },
  },
})
const containers = Number(values.containers)
const docs = path.resolve(import.meta.dirname, '../../../docs')
const command = path.resolve(import.meta.dirname, '../../../packages/cli/dist/main.js')

interface Compared {
  readonly driver: string
  readonly filesystem: string
  readonly failure?: string
  readonly unpackBytesPerSecond: number
  readonly changesMs: number
  readonly layerMs: number
  readonly layerBytes: number
  readonly containers: {
    readonly count: number
    readonly startMs: number
    readonly removeMs: number
    readonly bytes: number
    readonly inodes: number
    readonly memoryBytes: number
    readonly sharedBytes: number
  }
}

interface Found {
  /** Its release. */
  readonly kernel: string
  readonly compared: readonly Compared[]
}

interface Place {
  readonly name: string
  readonly title: string
  readonly drivers: readonly string[]
  readonly measure: (drivers: readonly string[]) => Promise<Found>
}

interface DriversReport {
  readonly places: readonly {
    readonly name: string
    readonly title: string
    readonly date: string
    readonly machine: Report['machine']
    readonly kernel: string
    readonly compared: readonly Compared[]
  }[]
}

const places: readonly Place[] = [
  here('ext4', 'ext4', ['overlay2', 'overlay', 'aufs', 'vfs']),
  here('xfs', 'xfs, which shares extents', ['overlay2', 'overlay', 'vfs']),
  here('btrfs', 'btrfs', ['btrfs', 'overlay2', 'vfs']),
  {
    name: 'zfs',
    title: 'ZFS, in a guest without a processor of its own (user-mode Linux)',
    drivers: ['zfs', 'vfs'],
    measure: (drivers) => inGuest(drivers, ZFS),
  },
  {
    name: 'devicemapper',
    title: 'ext4 in the same guest; devicemapper with its pool in files there',
    drivers: ['devicemapper', 'overlay2', 'vfs'],
    measure: (drivers) => inGuest(drivers, EXT4),
  },
]

const ZFS =
  'zpool create -O mountpoint=none -O xattr=sa b /dev/ubdb && zfs create -o mountpoint=/mnt/place b/place'
const EXT4 = 'mkfs.ext4 -q /dev/ubdb && mkdir -p /mnt/place && mount /dev/ubdb /mnt/place'

function here(kind: FilesystemKind, title: string, drivers: readonly string[]): Place {
  return {
    name: kind,
    title,
    drivers,
    async measure(chosen) {
      await using place = await filesystem(kind, { sizeMiB: 32 * 1024, storage: 'disk' })
      const compared: Compared[] = []
      for (const driver of chosen) {
        const { stdout } = await execa(process.execPath, [
          command,
          ...wordsFor(driver, containers, place.path),
        ])
        compared.push(...comparedIn(stdout))
      }
      return { kernel: machine().kernel, compared }
    },
  }
}

async function inGuest(drivers: readonly string[], prepare: string): Promise<Found> {
  const missing = await missingGuest()
  if (missing !== undefined) throw new Error(missing)
  // A line for each: the guest's console has one stream.
  const runs = drivers.map((driver) => {
    const words = wordsFor(driver, containers, '/mnt/place')
    return `${[process.execPath, command, ...words].join(' ')} >/tmp/found && tr -d '\\n' </tmp/found && echo`
  })
  const { exitCode, stdout, stderr } = await runInGuest({
    command: ['sh', '-ec', [prepare, 'uname -r', ...runs].join('\n')],
    disks: [{ sizeMiB: 16 * 1024 }],
    // Where nothing is shared, the page cache has a file for each container.
    memoryMiB: 10 * 1024,
    seconds: 1800,
  })
  if (exitCode !== 0) throw new Error(`the guest ended with ${exitCode}: ${stderr}`)
  const [kernel = '', ...lines] = stdout.trim().split('\n')
  return { kernel, compared: lines.flatMap(comparedIn) }
}

function wordsFor(driver: string, count: number, directory: string): readonly string[] {
  return ['--json', '--driver', driver, 'bench', '--containers', String(count), '--directory', directory]
}

function comparedIn(json: string): readonly Compared[] {
  const { compared } = JSON.parse(json) as { readonly compared: readonly Compared[] }
  for (const { driver, failure } of compared)
    if (failure !== undefined) throw new Error(`${driver}: ${failure}`)
  return compared
}

function documentOf({ places: measured }: DriversReport): string {
  const rows = measured.flatMap(({ title, date, kernel, compared }) => {
    const [first] = compared
    if (first === undefined) return []
    const counts = [...new Set(compared.map((one) => one.containers.count))].join(' or ')
    return [
      `## On ${title}`,
      '',
      `${counts} containers; Linux ${kernel}, ${date.slice(0, 10)}.`,
      '',
      '| driver | start of a container | its removal | its changes | disk of each | inodes | memory of each | a layer | its disk | unpacking |',
      '| --- | --: | --: | --: | --: | --: | --: | --: | --: | --: |',
      ...compared.map(
        ({ driver, containers: one, ...rest }) =>
          `| ${[
            `\`${driver}\``,
            milliseconds(one.startMs),
            milliseconds(one.removeMs),
            milliseconds(rest.changesMs),
            bytesText(one.bytes),
            String(one.inodes),
            bytesText(one.memoryBytes),
            milliseconds(rest.layerMs),
            bytesText(rest.layerBytes),
            `${bytesText(rest.unpackBytesPerSecond)}/s`,
          ].join(' | ')} |`,
      ),
      '',
    ]
  })
  const shared = measured[0]?.compared[0]?.containers.sharedBytes ?? 0
  return `# Drivers compared

Generated by \`npm run drivers\` from [drivers.json](drivers.json); do not edit. Containers of one image are made, mounted and written
to, all of them at a time, and each reads the same file of ${bytesText(shared)} of the image: *memory* is what the page cache grows by for
that. Where it is next to nothing, a thousand containers share what one has read; where it is the file's size, each has it to itself.
Times are this machine's. Compare within a table: your own host is measured by \`graphdriver bench\`.

![drivers](drivers.svg)

${rows.join('\n')}`
}

function milliseconds(value: number): string {
  return `${value < 10 ? value.toFixed(2) : value.toFixed(0)} ms`
}

async function draw({ places: measured }: DriversReport): Promise<void> {
  await using scratch = await temporaryDirectory()
  const from = measured.flatMap(({ name, compared }) => {
    const file = path.join(scratch.path, `${name}.json`)
    writeFileSync(file, JSON.stringify({ compared }))
    return ['--from', file]
  })
  await execa(process.execPath, [command, 'bench', ...from, '--chart', path.join(docs, 'drivers.svg')])
}

const file = path.join(docs, 'drivers.json')
let report: DriversReport = existsSync(file)
  ? (JSON.parse(readFileSync(file, 'utf8')) as DriversReport)
  : { places: [] }
for (const { name, title, drivers, measure } of places) {
  if (values.place?.includes(name) === false) continue
  const { kernel, compared } = await measure(drivers)
  const entry = { name, title, date: new Date().toISOString(), machine: machine(), kernel, compared }
  const found = [...report.places.filter((other) => other.name !== name), entry]
  report = { places: places.flatMap((place) => found.filter((other) => other.name === place.name)) }
  writeFileSync(file, `${JSON.stringify(report, undefined, 1)}\n`)
  writeFileSync(path.join(docs, 'drivers.md'), documentOf(report))
  console.log(`${name}: ${compared.map(({ driver }) => driver).join(', ')}`)
}
await draw(report)
