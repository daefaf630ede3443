/** A driver by somebody else: installed with npm from what we would publish, and examined by the same suite. */
import { cpSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { readReport, tally } from '@graphdriver/core/conformance'
import { filesystem, filesystemRequirements, need, temporaryDirectory } from '@tooling/lab'
import { execa } from 'execa'
import { expect, test } from 'vitest'

const repository = path.resolve(import.meta.dirname, '../../..')
const example = path.join(repository, 'examples/third-party-driver')
const published = ['core', 'sys', 'archive'].map((name) => path.join(repository, 'packages', name))
const missing = need(...filesystemRequirements('tmpfs'), { command: 'npm' })

/** The example as a newcomer has it: no workspace around it, and nothing but tarballs of ours. */
async function install(directory: string): Promise<string> {
  for (const source of published)
    await execa('pnpm', ['pack', '--pack-destination', directory], { cwd: source })
  const project = path.join(directory, 'project')
  cpSync(example, project, { recursive: true })
  const tarballs = readdirSync(directory).filter((name) => name.endsWith('.tgz'))
  await execa(
    'npm',
    ['install', '--no-audit', '--no-fund', ...tarballs.map((name) => path.join('..', name))],
    {
      cwd: project,
    },
  )
  return project
}

test('the whole test of a third party’s driver is at most 15 lines', () => {
  const lines = readFileSync(path.join(example, 'test/conformance.test.js'), 'utf8').trimEnd().split('\n')
  expect(lines.length).toBeLessThanOrEqual(15)
})

test.skipIf(missing !== undefined)(
  `a third party’s driver passes the suite, installed from tarballs with npm (${missing ?? 'as root'})`,
  async () => {
    await using directory = await temporaryDirectory()
    const project = await install(directory.path)
    await using memory = await filesystem('tmpfs')
    const env = { TMPDIR: memory.path }
    await execa(process.execPath, ['--test'], { cwd: project, all: true, env })
    const { runs } = readReport(path.join(project, 'conformance.json'))
    expect(runs.map(({ driver }) => driver)).toEqual(['copy-example'])
    const counts = tally(runs.flatMap(({ cases }) => cases))
    expect(counts).toMatchObject({ failed: 0, 'cannot-run': 0 })
    expect(counts.passed).toBeGreaterThan(150)
  },
  // A whole suite in one case.
  900_000,
)
