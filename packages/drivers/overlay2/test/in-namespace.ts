/** Runs in a user namespace of its own: builds a stack under the root it is given, and tells what came of it. */
import { existsSync, lstatSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { hostOf, parseLayerId } from '@graphdriver/core'
import { lgetxattr, readMountTable } from '@graphdriver/sys'
import overlay2 from '../dist/index.js'

const root = process.argv[2] ?? ''
const home = path.join(root, 'overlay2')
const host = hostOf(overlay2, { root })
const [base, upper, copy] = ['base', 'upper', 'copy'].map(parseLayerId)
if (base === undefined || upper === undefined || copy === undefined) throw new Error('three ids')

const probe = await overlay2.probe(host)
await using driver = await overlay2.open(host)
await driver.create(base)
{
  await using mount = await driver.get(base)
  mkdirSync(`${mount.path}/dir`)
  for (const name of ['dir/old', 'file', 'kept']) writeFileSync(path.join(mount.path, name), name)
}
await driver.create(upper, { parent: base })
let options: readonly string[] | undefined
{
  await using mount = await driver.get(upper)
  options = readMountTable().find((entry) => entry.target === mount.path)?.superOptions
  rmSync(`${mount.path}/dir`, { recursive: true })
  mkdirSync(`${mount.path}/dir`)
  writeFileSync(`${mount.path}/dir/new`, '')
  rmSync(`${mount.path}/file`)
}
await driver.create(copy, { parent: base })
const size = await driver.applyDiff(copy, base, driver.diff(upper, base))
await using mount = await driver.get(copy)
process.stdout.write(
  JSON.stringify({
    probe,
    status: await driver.status(),
    capabilities: driver.capabilities,
    options,
    size,
    shown: readdirSync(mount.path, { recursive: true }),
    whiteout: lstatSync(`${home}/copy/diff/file`).isCharacterDevice(),
    opaque: lgetxattr(`${home}/copy/diff/dir`, 'user.overlay.opaque')?.toString(),
    leftovers: existsSync(root) ? readdirSync(home).filter((name) => name.startsWith('.')) : undefined,
  }),
)
