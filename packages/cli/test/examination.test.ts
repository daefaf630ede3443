/** `conformance` and `bench`: a driver examined by the command. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { benchCases } from '@graphdriver/core/bench'
import { allCases, mountsBelow, rawTar } from '@graphdriver/core/conformance'
import { describe, expect, test } from 'vitest'
import { type DataRoot, emptyRoot } from './data-root.ts'
import { graphdriver, start, succeed } from './graphdriver.ts'
import { asOrdinaryUser, whyNoUserNamespace } from './ordinary-user.ts'

/** A module whose driver is vfs, but for some members. */
function driverModule({ scratch }: DataRoot, members: string): string {
  const file = path.join(scratch, 'driver.mjs')
  writeFileSync(
    file,
    `import vfs from ${JSON.stringify(import.meta.resolve('@graphdriver/vfs'))}
    const members = { ${members} }
    export default {
      ...vfs,
      async open(host) {
        const driver = await vfs.open(host)
        return new Proxy(driver, {
          get(target, key) {
            const value = members[key] ?? target[key]
            return typeof value === 'function' ? value.bind(target) : value
          },
        })
      },
    }`,
  )
  return file
}

/** A directory to work in, which must be empty afterwards. */
function workplace({ scratch }: DataRoot): string {
  const directory = path.join(scratch, 'workplace')
  mkdirSync(directory)
  return directory
}

function leftIn(directory: string): readonly string[] {
  return [...readdirSync(directory), ...mountsBelow(directory)]
}

function idsOf(cases: readonly { readonly id: string }[]): readonly string[] {
  return cases.map(({ id }) => id)
}

const broken = 'exists: async () => true'
const hanging = `exists: () => {
  process.stderr.write('it hangs')
  return new Promise((resolve) => setTimeout(resolve, 1_000_000))
}`

describe('conformance', () => {
  test('runs chosen cases, says what came of each, and leaves nothing', async () => {
    await using root = await emptyRoot()
    const directory = workplace(root)
    const args = ['--case', 'lifecycle/exists', '--case', '*/similar-ids', '--directory', directory]
    const stdout = await succeed(['conformance', 'vfs', ...args])
    expect(stdout).toMatch(
      /^lifecycle\/exists +passed\nlifecycle\/similar-ids +passed\n\nAREA +PASSED\nlifecycle +2\n\nvfs on \w+: 2 passed\n$/,
    )
    expect(leftIn(directory)).toEqual([])
  })

  test('--json prints the report and nothing else, --report adds to one', async () => {
    await using root = await emptyRoot()
    const report = path.join(root.scratch, 'reports', 'conformance.json')
    const args = ['conformance', 'vfs', '--case', 'lifecycle/exists', '--report', report]
    const { stdout, stderr } = await graphdriver([...args, '--json'])
    expect(stderr).toBe('')
    expect(JSON.parse(stdout)).toMatchObject({
      format: 1,
      runs: [{ driver: 'vfs', cases: [{ id: 'lifecycle/exists', outcome: 'passed' }] }],
    })
    expect(JSON.parse(readFileSync(report, 'utf8'))).toEqual(JSON.parse(stdout))
  })

  test('--list lists all cases, or those that are chosen, and needs no driver', async () => {
    const { cases } = JSON.parse(await succeed(['conformance', '--list', '--json']))
    expect(idsOf(cases)).toEqual(idsOf(allCases))
    const text = await succeed(['conformance', '--list', '--case', 'lifecycle/exists'])
    expect(text).toMatch(/^CASE +TITLE\nlifecycle\/exists {2}a layer exists .*\n$/)
  })

  test('a case that fails is told with its reason and how to repeat it, exit code 1', async () => {
    await using root = await emptyRoot()
    const driver = driverModule(root, broken)
    const args = ['--case', 'lifecycle/exists', '--case', 'lifecycle/listed']
    const { code, stdout, stderr } = await graphdriver(['conformance', driver, ...args])
    expect({ code, stderr }).toEqual({ code: 1, stderr: '' })
    expect(stdout).toContain('lifecycle/exists  FAILED\nlifecycle/listed  passed\n')
    expect(stdout).toContain('FAILED lifecycle/exists: a layer exists once it is created')
    expect(stdout).toContain('true !== false')
    expect(stdout).toContain(`again: graphdriver conformance ${driver} --case lifecycle/exists\n`)
    expect(stdout).toContain('1 passed, 1 failed\n')
    const parsed = await graphdriver(['conformance', driver, ...args, '--json'])
    expect(parsed.code).toBe(1)
    expect(JSON.parse(parsed.stdout).runs[0].cases[0]).toMatchObject({ outcome: 'failed' })
  })

  test('a driver is found in the working directory, by path and by name', async () => {
    await using root = await emptyRoot()
    driverModule(root, broken)
    const home = path.join(root.scratch, 'node_modules', 'graphdriver-mine')
    mkdirSync(home, { recursive: true })
    writeFileSync(path.join(home, 'package.json'), '{ "main": "../../driver.mjs" }')
    for (const driver of ['./driver.mjs', 'mine']) {
      const { code, stdout } = await graphdriver(['conformance', driver, '--case', 'lifecycle/exists'], {
        cwd: root.scratch,
      })
      expect({ code, stdout }).toEqual({ code: 1, stdout: expect.stringContaining('1 failed') })
    }
  })

  test.each<readonly [what: string, args: readonly string[], code: number, message: string]>([
    ['a driver that does not exist', ['nothing'], 1, "driver 'nothing' is not installed"],
    ['a module that does not exist', ['/nonexistent/driver.mjs'], 1, 'failed to load'],
    ['no driver', [], 2, "missing required argument 'driver'"],
    [
      'a case that does not exist',
      ['vfs', '--case', 'tree/nothing*'],
      2,
      "no case is called 'tree/nothing*'",
    ],
    [
      'a directory that does not exist',
      ['vfs', '--directory', '/nonexistent'],
      1,
      '/nonexistent: no such file',
    ],
    ['a report that is none', ['vfs', '--report', '/etc/passwd'], 2, '/etc/passwd is no report'],
    ['an option that the driver does not know', ['vfs', '--driver-option', 'a=b'], 1, 'GD_INVALID_OPTION'],
  ])('refuses %s', async (_, args, code, message) => {
    const outcome = await graphdriver(['conformance', ...args])
    expect(outcome).toEqual({ code, stdout: '', stderr: expect.stringContaining(message) })
  })

  test('a driver that cannot serve there is an error, not a suite of cases that cannot run', async () => {
    await using root = await emptyRoot()
    const refuses = `...vfs, probe: async () => ({ supported: false, code: 'moody', reason: 'not today' })`
    const file = driverModule(root, broken)
    writeFileSync(file, readFileSync(file, 'utf8').replace('...vfs', refuses))
    const { code, stderr } = await graphdriver(['conformance', file])
    expect(code).toBe(1)
    expect(stderr).toMatch(/cannot serve .*: not today \[GD_DRIVER_UNSUPPORTED\]/)
  })

  test('ended by SIGINT it stops between two cases and leaves nothing', async () => {
    await using root = await emptyRoot()
    const directory = workplace(root)
    const call = start(['conformance', 'vfs', '--directory', directory])
    await call.said('lifecycle/empty-layer')
    call.process.kill('SIGINT')
    const { code, stdout, stderr } = await call.outcome
    expect(code).toBe(130)
    expect(stderr).toContain('ended by SIGINT')
    expect(stdout).not.toContain('FAILED')
    expect(leftIn(directory)).toEqual([])
  })

  test('holds one driver to another, and tells how to have the difference again', async () => {
    await using root = await emptyRoot()
    const directory = workplace(root)
    const liar = driverModule(root, 'changes: async () => []')
    const args = ['conformance', liar, '--against', 'vfs', '--case', 'differential/changes']
    const { code, stdout } = await graphdriver([...args, '--directory', directory])
    expect(code).toBe(1)
    expect(stdout).toMatch(/^differential\/changes +FAILED$/m)
    expect(stdout).toContain('--against vfs --case differential/changes')
    expect(stdout).toContain('GRAPHDRIVER_SEED=')
    expect(leftIn(directory)).toEqual([])
  })

  test('a case that hangs is ended by the second SIGINT, and nothing is left', async () => {
    await using root = await emptyRoot()
    const directory = workplace(root)
    const driver = driverModule(root, hanging)
    const call = start(['conformance', driver, '--case', 'lifecycle/exists', '--directory', directory])
    await call.said('it hangs')
    call.process.kill('SIGINT')
    await call.said('once more ends at once')
    call.process.kill('SIGINT')
    expect((await call.outcome).code).toBe(130)
    expect(leftIn(directory)).toEqual([])
  })

  test.for(['vfs', 'overlay2'])('an ordinary user examines %s', async (driver, { skip }) => {
    const missing = whyNoUserNamespace()
    skip(missing !== undefined, missing)
    await using user = await asOrdinaryUser()
    const { code, stdout, stderr } = await graphdriver(
      ['conformance', driver, '--case', 'lifecycle/exists', '--case', 'lifecycle/removed'],
      user,
    )
    skip(stderr.includes('GD_DRIVER_UNSUPPORTED'), `needs a kernel where ${driver} serves here`)
    expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringContaining(': 2 passed\n') })
    expect(leftIn(user.home)).toEqual([])
  })
})

describe('bench', () => {
  test('prints a table with median and p99, and what it ran on', async () => {
    await using root = await emptyRoot()
    const directory = workplace(root)
    const args = ['--case', 'exists', '--case', 'apply-layer', '--rounds', '3', '--directory', directory]
    const stdout = await succeed(['bench', 'vfs', ...args])
    expect(stdout).toMatch(/^CASE +ROUNDS +MEDIAN ms +P99 ms +MIN ms\nexists +3( +\d+\.\d+){3}\n/)
    expect(stdout).toMatch(/\napply-layer +not run: takes the tar of a layer/)
    expect(stdout).toMatch(/\nvfs on \w+, scale standard; linux \S+, node v\S+, \d+ x .+\n$/)
    expect(leftIn(directory)).toEqual([])
  })

  test('--json prints all samples', async () => {
    await using root = await emptyRoot()
    const layer = path.join(root.scratch, 'layer.tar')
    writeFileSync(layer, rawTar({ name: 'file', data: 'x' }))
    const args = ['--case', '*-layer', '--rounds', '2', '--layer', layer, '--scale', 'quick', '--json']
    const { stdout, stderr } = await graphdriver(['bench', 'vfs', ...args])
    expect(stderr).toBe('')
    expect(JSON.parse(stdout)).toMatchObject({
      format: 1,
      driver: 'vfs',
      scale: 'quick',
      cases: [
        {
          id: 'apply-layer',
          parameters: { layer: 'layer.tar' },
          samples: [expect.any(Number), expect.any(Number)],
        },
      ],
    })
  })

  test('a driver that fails is told, exit code 1', async () => {
    await using root = await emptyRoot()
    const driver = driverModule(root, `exists: async () => { throw new Error('it is tired') }`)
    const { code, stdout } = await graphdriver(['bench', driver, '--case', 'exists', '--case', 'put'])
    expect(code).toBe(1)
    expect(stdout).toMatch(/\nexists +FAILED: it is tired\nput +100 /)
  })

  test('--list lists all cases', async () => {
    const { cases } = JSON.parse(await succeed(['bench', '--list', '--json']))
    expect(idsOf(cases)).toEqual(idsOf(benchCases))
  })

  test.each<readonly [what: string, args: readonly string[], code: number, message: string]>([
    ['a case that does not exist', ['vfs', '--case', 'nothing'], 2, "no case is called 'nothing'"],
    ['no rounds', ['vfs', '--rounds', '0'], 2, "'0' is no whole number above 0"],
    ['a layer that does not exist', ['vfs', '--layer', '/nonexistent'], 1, '/nonexistent: no such file'],
  ])('refuses %s', async (_, args, code, message) => {
    const outcome = await graphdriver(['bench', ...args])
    expect(outcome).toEqual({ code, stdout: '', stderr: expect.stringContaining(message) })
  })
})
