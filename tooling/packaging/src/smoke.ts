/** What a user of each package would do first; run in a project that has nothing but it. */

const driver = (name: string): string => `
import driver from '@graphdriver/${name}'
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'

const root = mkdtempSync(path.join(tmpdir(), 'smoke-'))
try {
  const host = { root, home: path.join(root, driver.name), options: driver.parse({}) }
  const probe = await driver.probe(host)
  if (probe.supported) {
    const opened = await driver.open(host)
    await opened.create('base')
    await opened.createReadWrite('box', { parent: 'base' })
    const mount = await opened.get('box')
    writeFileSync(path.join(mount.path, 'file'), 'content')
    await opened.put('box')
    assert.deepEqual((await opened.changes('box', 'base')).map((change) => String(change.path)), ['/file'])
    let bytes = 0
    for await (const chunk of opened.diff('box', 'base')) bytes += chunk.length
    assert.ok(bytes >= 1536)
    for (const id of ['box', 'base']) await opened.remove(id)
    await opened.cleanup()
    console.log('works')
  } else {
    assert.match(probe.reason, /./)
    console.log('says why not')
  }
} finally {
  rmSync(root, { recursive: true, force: true })
}
`

const others: Readonly<Record<string, string>> = {
  core: `
import { parseLayerId, selectDriver } from '@graphdriver/core'
import assert from 'node:assert/strict'
assert.throws(() => parseLayerId('../up'), { code: 'GD_INVALID_ID' })
await assert.rejects(selectDriver({ root: '/nonexistent', driver: 'none' }), { code: 'GD_DRIVER_NOT_FOUND' })
console.log('works')
`,
  sys: `
import { filesystemName, readMountTable, statfs } from '@graphdriver/sys'
import assert from 'node:assert/strict'
assert.equal(filesystemName(statfs('/proc').type), 'proc')
assert.ok(readMountTable().some(({ target }) => target === '/'))
console.log('works')
`,
  archive: `
import { TreeWorkers } from '@graphdriver/archive'
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
const [from, to] = [1, 2].map(() => mkdtempSync(path.join(tmpdir(), 'smoke-')))
writeFileSync(path.join(from, 'file'), 'content')
const workers = new TreeWorkers()
await workers.apply(to, workers.pack(from), { whiteouts: 'remove' })
await workers[Symbol.asyncDispose]()
assert.equal(readFileSync(path.join(to, 'file'), 'utf8'), 'content')
for (const place of [from, to]) rmSync(place, { recursive: true })
console.log('works')
`,
}

/** A module that prints `works`, or `says why not` for a driver that this host has no place for. */
export function smokeOf(name: string, isDriver: boolean): string {
  const short = name.replace('@graphdriver/', '')
  const imported = `
import * as all from '${name}'
import assert from 'node:assert/strict'
assert.ok(Object.keys(all).length > 0)
console.log('works')
`
  return others[short] ?? (isDriver ? driver(short) : imported)
}
