/** Limits by project quotas, which the kernels of test machines seldom have: in a guest that has them. */
import { type GuestScratch, missingGuest, runInGuest } from '@tooling/lab'
import { describe, expect, test } from 'vitest'
import { program } from '../src/graphdriver.ts'

const missing = await missingGuest()

const scratch: Readonly<Record<'xfs' | 'ext4', GuestScratch>> = {
  xfs: { filesystem: 'xfs', sizeMiB: 2048, mountOptions: ['prjquota'] },
  ext4: {
    filesystem: 'ext4',
    sizeMiB: 2048,
    mkfsOptions: ['-O', 'project,quota'],
    mountOptions: ['prjquota'],
  },
}

interface Report {
  readonly runs: readonly {
    readonly capabilities: { readonly quota: string }
    readonly cases: readonly { readonly id: string; readonly outcome: string; readonly error?: unknown }[]
  }[]
}

async function examine(
  driver: string,
  kind: keyof typeof scratch,
  ...options: readonly string[]
): Promise<Report['runs'][number]> {
  const { stdout, stderr } = await runInGuest({
    command: [process.execPath, program, 'conformance', driver, ...options, '--case', 'quota/*', '--json'],
    // Without the mount option there are no projects.
    scratch: options.length === 0 ? scratch[kind] : { ...scratch[kind], mountOptions: [] },
  })
  const report: unknown = JSON.parse(stdout === '' ? JSON.stringify({ runs: [], stderr }) : stdout)
  const [run] = (report as Report).runs
  if (run === undefined) throw new Error(`nothing was examined: ${stderr}`)
  return run
}

describe.skipIf(missing !== undefined)(`project quotas (${missing ?? 'in a guest'})`, () => {
  test.each([
    ['overlay2', 'xfs'],
    ['overlay2', 'ext4'],
    ['overlay', 'xfs'],
    ['overlay', 'ext4'],
    ['aufs', 'xfs'],
    ['aufs', 'ext4'],
    ['vfs', 'xfs'],
  ] as const)('limit the layers of %s on %s', { timeout: 180_000 }, async (driver, kind) => {
    const { capabilities, cases } = await examine(driver, kind)
    expect(capabilities.quota).toBe('project')
    expect(cases.filter(({ outcome }) => outcome === 'failed')).toEqual([])
    expect(cases.filter(({ outcome }) => outcome === 'passed').length).toBeGreaterThan(20)
  })

  // Growing a mounted one needs CAP_SYS_RESOURCE, which root in a sandbox may lack.
  test.each(['overlay2', 'overlay', 'aufs', 'vfs'])(
    'have filesystems in files beside them, which grow mounted, for %s',
    { timeout: 180_000 },
    async (driver) => {
      const { capabilities, cases } = await examine(driver, 'ext4', '--driver-option', 'quota=loop')
      expect(capabilities.quota).toBe('loop')
      expect(cases.filter(({ outcome }) => outcome === 'failed')).toEqual([])
    },
  )

  test('do not limit root where nothing is between it and ext4, so vfs takes no limits there', async () => {
    const { capabilities, cases } = await examine('vfs', 'ext4')
    expect(capabilities.quota).toBe('none')
    expect(cases.find(({ id }) => id === 'quota/refused-where-none')?.outcome).toBe('passed')
  }, 180_000)
})
