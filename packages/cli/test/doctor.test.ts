/** doctor, and the comparison of drivers by bench. */
import { mkdirSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { mount, MS } from '@graphdriver/sys'
import { filesystem, filesystemRequirements, need } from '@tooling/lab'
import { describe, expect, test } from 'vitest'
import { emptyRoot } from './data-root.ts'
import { graphdriver, succeed } from './graphdriver.ts'
import {
  asOrdinaryUser,
  whyNoOrdinaryUser,
  whyNoUserNamespace,
  withoutUserNamespaces,
} from './ordinary-user.ts'

interface Fact {
  readonly id: string
  readonly answer: 'yes' | 'no'
  readonly detail?: string
  readonly remedy?: string
}

interface Compared {
  readonly driver: string
  readonly filesystem: string
  readonly containers: {
    readonly count: number
    readonly bytes: number
    readonly memoryBytes: number
    readonly sharedBytes: number
  }
}

interface Diagnosis {
  readonly host: readonly Fact[]
  readonly place: readonly Fact[]
  readonly drivers: readonly { readonly name: string; readonly probe: { readonly supported: boolean } }[]
  readonly holds: readonly string[]
  readonly measured: readonly Compared[]
  readonly recommendation: { readonly driver: string; readonly reasons: readonly string[] }
}

const ofId = (facts: readonly Fact[], id: string): Fact | undefined => facts.find((fact) => fact.id === id)
const ofDriver = (compared: readonly Compared[], name: string): Compared | undefined =>
  compared.find(({ driver }) => driver === name)

const missing = need({ root: true, kernelFilesystem: 'overlay' })

describe.skipIf(missing !== undefined)(`doctor (${missing ?? 'as root'})`, () => {
  test('says of everything whether it is there, and leaves nothing', async () => {
    await using root = await emptyRoot()
    const diagnosis: Diagnosis = JSON.parse(await succeed(['--root', root.path, 'doctor', '--json']))
    expect(ofId(diagnosis.host, 'kernel')?.answer).toBe('yes')
    expect(ofId(diagnosis.host, 'privileges')).toMatchObject({ answer: 'yes', detail: 'as root' })
    const facts = [...diagnosis.host, ...diagnosis.place]
    expect(new Set(facts.map(({ id }) => id)).size).toBe(facts.length)
    for (const { answer, detail } of facts.filter((fact) => fact.answer === 'no'))
      expect([answer, detail]).toEqual(['no', expect.stringMatching(/\w/)])
    expect(readdirSync(root.scratch)).toEqual([])
    const text = await succeed(['--root', root.path, 'doctor'])
    expect(text).toMatch(/^HOST\n(  (yes|no )  .+\n)+\nDATA ROOT .+\n(  (yes|no )  .+\n)+\nDRIVERS\n/)
  })

  test.for([
    ['xfs', { reflink: 'yes', 'd-type': 'yes', 'idmapped-mounts': 'yes', 'xattrs-user': 'yes' }],
    ['ext4', { reflink: 'no', 'd-type': 'yes', 'idmapped-mounts': 'yes', 'xattrs-trusted': 'yes' }],
    ['btrfs', { reflink: 'yes', inodes: 'yes', 'idmapped-mounts': 'yes', 'project-quotas': 'no' }],
  ] as const)('tells what %s is good for', async ([kind, wanted], { skip }) => {
    const lacking = need(...filesystemRequirements(kind))
    skip(lacking !== undefined, lacking)
    await using volume = await filesystem(kind, { sizeMiB: 512, storage: 'memory' })
    const root = path.join(volume.path, 'root')
    const { place }: Diagnosis = JSON.parse(await succeed(['--root', root, 'doctor', '--json']))
    const answers = Object.keys(wanted).map((id) => [id, ofId(place, id)?.answer])
    expect(Object.fromEntries(answers)).toEqual(wanted)
  })

  test('where nothing can be written no driver serves, and the exit code is 1', async ({ skip }) => {
    const lacking = need(...filesystemRequirements('tmpfs'))
    skip(lacking !== undefined, lacking)
    await using volume = await filesystem('tmpfs', { sizeMiB: 16 })
    mount({ source: 'none', target: volume.path, flags: MS.REMOUNT | MS.RDONLY })
    const { code, stdout } = await graphdriver(['--root', path.join(volume.path, 'root'), 'doctor'])
    expect(code).toBe(1)
    expect(stdout).toMatch(/ {2}no {3}the data root can be written: .+; /)
    expect(stdout).toContain('no driver can serve here')
  })

  test('tells of images that another driver holds', async () => {
    await using root = await emptyRoot()
    for (const driver of ['vfs', 'overlay2'])
      mkdirSync(path.join(root.path, driver, 'layer'), { recursive: true })
    expect(await succeed(['--root', root.path, 'doctor'])).toContain('graphdriver migrate --from A --to B')
  })

  test('--measure tells who shares memory, and recommends one that does', async ({ skip }) => {
    const lacking = need(...filesystemRequirements('ext4'))
    skip(lacking !== undefined, lacking)
    await using volume = await filesystem('ext4', { sizeMiB: 2048, storage: 'memory' })
    const args = ['--root', path.join(volume.path, 'root'), 'doctor', '--measure', '--json']
    const { measured, recommendation }: Diagnosis = JSON.parse(await succeed(args))
    const [overlay2, vfs] = [
      ofDriver(measured, 'overlay2')?.containers,
      ofDriver(measured, 'vfs')?.containers,
    ]
    expect(overlay2?.memoryBytes).toBeLessThan((overlay2?.sharedBytes ?? 0) / 2)
    expect(vfs?.memoryBytes).toBeGreaterThan((vfs?.sharedBytes ?? 0) / 2)
    expect(overlay2?.bytes).toBeLessThan(1024 * 1024)
    expect(vfs?.bytes).toBeGreaterThan(8 * 1024 * 1024)
    expect(recommendation.driver).not.toBe('vfs')
    expect(recommendation.reasons.length).toBeGreaterThan(2)
    expect(readdirSync(volume.path).filter((name) => name !== 'lost+found')).toEqual([])
  }, 120_000)
})

describe('doctor as an ordinary user', () => {
  test('speaks of what is possible in a user namespace', async ({ skip }) => {
    const lacking = whyNoUserNamespace()
    skip(lacking !== undefined, lacking)
    await using user = await asOrdinaryUser()
    const { host }: Diagnosis = JSON.parse(await succeed(['doctor', '--json'], user))
    expect(ofId(host, 'privileges')).toMatchObject({
      answer: 'yes',
      detail: expect.stringContaining('in a user namespace with'),
    })
  })

  test('speaks where there can be no user namespace', async ({ skip }) => {
    const lacking = whyNoOrdinaryUser() ?? need({ root: true })
    skip(lacking !== undefined, lacking)
    await using user = await asOrdinaryUser()
    const under = ['sh', '-c', withoutUserNamespaces, 'sh', ...(user.under ?? [])]
    const { stdout } = await graphdriver(['doctor', '--json'], { ...user, under })
    const { host }: Diagnosis = JSON.parse(stdout)
    expect(ofId(host, 'privileges')).toMatchObject({
      answer: 'no',
      detail: expect.stringContaining('user.max_user_namespaces is 0'),
    })
  })
})

describe.skipIf(missing !== undefined)(`bench without a driver (${missing ?? 'as root'})`, () => {
  test.each(['svg', 'html'])('compares, draws a .%s, and leaves nothing', async (ending) => {
    await using root = await emptyRoot()
    const [directory, chart] = [path.join(root.scratch, 'place'), path.join(root.scratch, `chart.${ending}`)]
    mkdirSync(directory)
    const args = ['bench', '--directory', directory, '--containers', '4', '--chart', chart, '--json']
    const { compared } = JSON.parse(await succeed(args)) as { readonly compared: readonly Compared[] }
    expect(ofDriver(compared, 'overlay2')?.containers.count).toBe(4)
    const drawn = readFileSync(chart, 'utf8')
    for (const { driver } of compared) expect(drawn).toContain(`>${driver}</text>`)
    expect(drawn).toContain('Memory, each container')
    expect(readdirSync(directory)).toEqual([])
  })

  test.each<readonly [what: string, args: readonly string[], message: string]>([
    ['a picture of another kind', ['--chart', 'chart.png'], 'name a file that ends in .svg or .html'],
    ['one container', ['--containers', '1'], '--containers takes 2 or more'],
    [
      'what is for one driver',
      ['--rounds', '3'],
      '--rounds, --scale and --layer are for one driver; name it',
    ],
  ])('refuses %s', async (_, args, message) => {
    const outcome = await graphdriver(['bench', ...args])
    expect(outcome).toEqual({ code: 2, stdout: '', stderr: expect.stringContaining(message) })
  })
})
