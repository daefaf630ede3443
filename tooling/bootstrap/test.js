/**
 * `npm test`: sets up if need be, builds, then lints, typechecks and tests everything. Its last line is
 * `N passed, N failed, N skipped`; each of the checks beside the tests counts as one.
 */
import { readFileSync, rmSync } from 'node:fs'
import path from 'node:path'
import { runProgram } from './program.js'
import { failuresIn, sum, tallyReport } from './tally.js'
import {
  build,
  environment,
  install,
  main,
  node,
  packageDirectories,
  requireNode,
  root,
  turbo,
} from './workspace.js'

/** Where tooling/vitest has each package write its results: git does not look there. */
const report = path.join('.turbo', 'vitest.json')

/** Gives the tests a temporary directory that is taken down with all that they leave in it. */
const lab = [node, path.join(root, 'tooling', 'lab', 'src', 'within.ts')]

const onward = '--continue=dependencies-successful'
const everything = [onward, '--concurrency=3']

/** Whose tests run in guests, the longest of all: they start with the others, whatever the order of those. */
const inGuests = ['@graphdriver/devicemapper', '@graphdriver/zfs']

function check(title, code) {
  if (code !== 0) console.error(`graphdriver: ${title} failed`)
  return code === 0 ? { passed: 1, failed: 0, skipped: 0 } : { passed: 0, failed: 1, skipped: 0 }
}

function testedPackages() {
  return packageDirectories().filter((directory) => {
    const { scripts } = JSON.parse(readFileSync(path.join(root, directory, 'package.json'), 'utf8'))
    return scripts?.test !== undefined
  })
}

/** What the conformance suite found, where a package runs it. */
const conformance = path.join('.turbo', 'conformance.json')

function reportsNamed(name) {
  return testedPackages().map((directory) => path.join(root, directory, name))
}

/** Whether the README tells what this run found of the drivers. */
function checkDriverTable() {
  const program = path.join(root, 'tooling', 'lab', 'src', 'driver-table.ts')
  return runProgram([node, program, '--check'])
}

/**
 * Everything is built by now; what is built again under a running test of another package breaks it. With what runs in
 * guests, two packages at a time are as much as two processors can do.
 */
function testPackages(filters) {
  return turbo(['run', 'test', '--only', onward, '--concurrency=2', ...filters], { within: lab })
}

async function test() {
  const reports = reportsNamed(report)
  for (const file of [...reports, ...reportsNamed(conformance)]) rmSync(file, { force: true })
  const codes = await Promise.all([
    testPackages(inGuests.map((name) => `--filter=${name}`)),
    testPackages(inGuests.map((name) => `--filter=!${name}`)),
  ])
  const code = Math.max(...codes)
  const tally = sum(reports.map(tallyReport))
  // Something that no report has: an unhandled rejection, for one, fails a run in which every case passed.
  return code !== 0 && tally.failed === 0 ? sum([tally, check('test run', code)]) : tally
}

/** A kernel that cannot be built is told of here, and by each test that is skipped for it. */
async function testBesideGuests(guests) {
  if ((await guests) !== 0) console.error('graphdriver: the kernel of the guests could not be built')
  return test()
}

await main(async () => {
  requireNode()
  await install()
  await runProgram([process.execPath, path.join(root, 'tooling', 'lab', 'install.js')])
  await build()
  // A quarter of an hour, once, beside what else there is to do; tests of guests that are not there are skipped.
  const guests = runProgram(['nice', node, path.join(root, 'tooling', 'lab', 'src', 'guest', 'prepare.ts')])
  const pnpm = path.join(root, 'node_modules', 'pnpm', 'bin', 'pnpm.mjs')
  const results = [
    check('lint', await runProgram([node, pnpm, 'run', 'lint'], { cwd: root, env: environment })),
    check('typecheck', await turbo(['run', 'typecheck', ...everything])),
    check('package check', await turbo(['run', 'check', ...everything])),
    await testBesideGuests(guests),
    check('driver table in the README', await checkDriverTable()),
  ]
  const { passed, failed, skipped } = sum(results)
  // At the very end, where whoever sees only that sees it.
  if (failed > 0)
    for (const failure of reportsNamed(report).flatMap(failuresIn)) console.error(`failed: ${failure}`)
  console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`)
  return failed === 0 ? 0 : 1
})
