/**
 * On a real Windows, elevated: `node on-windows.ts IMAGE RESULTS API`, with an image as `docker save` writes it. The image's own
 * layers go through Windows' own calls, and what was seen is written down, call by call of ours. Nothing of this is a
 * double's; and until a runner of ours has run it, nothing of it was seen.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createReadStream, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { release, tmpdir } from 'node:os'
import path from 'node:path'
import { decompress } from '@graphdriver/archive'
import { type Driver, hostOf, type LayerId, parseLayerId } from '@graphdriver/core'
import windows from '@graphdriver/windows'
import { LayerTarReader, type WindowsFile } from '@graphdriver/windows-layer'

interface Seen {
  readonly name: string
  readonly error: string | undefined
  readonly milliseconds: number
}

const [image = '', results = 'conformance.json', api = 'vmcompute'] = process.argv.slice(2)
const seen: Seen[] = []
const directory = mkdtempSync(path.join(tmpdir(), 'graphdriver-'))

/** Does what follows have sense when this has failed? */
async function step(name: string, action: () => Promise<void>): Promise<void> {
  const start = performance.now()
  let error: string | undefined
  try {
    await action()
  } catch (thrown) {
    error = thrown instanceof Error ? (thrown.stack ?? String(thrown)) : String(thrown)
  }
  seen.push({ name, error, milliseconds: Math.round(performance.now() - start) })
  console.log(error === undefined ? `passed: ${name}` : `FAILED: ${name}\n${error}`)
}

/** Names of a layer's entries, with what Windows keeps of each. */
async function contentOf(tar: AsyncIterable<Uint8Array>): Promise<ReadonlyMap<string, string>> {
  const told = new Map<string, string>()
  const nothing = (): void => undefined
  const reader = new LayerTarReader({
    file: (file) => void told.set(file.name.toLowerCase(), textOf(file)),
    link: (name, target) => void told.set(name.toLowerCase(), `a link to ${target}`),
    remove: (name) => void told.set(name.toLowerCase(), 'deleted'),
    stream: nothing,
    data: nothing,
    end: nothing,
  })
  for await (const chunk of tar) reader.push(chunk)
  reader.finish()
  return told
}

function textOf({ attributes, created, written, security, size, reparsePoint }: WindowsFile): string {
  const link = reparsePoint === undefined ? '' : ` -> ${reparsePoint.target}`
  return `${attributes} ${created} ${written} ${security?.toString('base64') ?? ''} ${size}${link}`
}

function layersOf(): readonly string[] {
  execFileSync('tar', ['-xf', image, '-C', directory])
  const manifest: unknown = JSON.parse(readFileSync(path.join(directory, 'manifest.json'), 'utf8'))
  assert(Array.isArray(manifest))
  const [{ Layers: layers }] = manifest as [{ readonly Layers: readonly string[] }]
  return layers.map((layer) => path.join(directory, layer))
}

async function* tarOf(file: string): AsyncGenerator<Uint8Array> {
  yield* decompress(createReadStream(file))
}

async function importAll(driver: Driver, files: readonly string[]): Promise<readonly LayerId[]> {
  const made: LayerId[] = []
  for (const [index, file] of files.entries()) {
    const id = parseLayerId(`image${index}`)
    const parent = made.at(-1)
    await driver.create(id, { parent })
    await driver.applyDiff(id, parent, tarOf(file))
    made.push(id)
  }
  return made
}

try {
  const files = layersOf()
  const host = hostOf(windows, { root: path.join(directory, 'root'), options: { api } })
  const driver = await windows.open(host)
  let layers: readonly LayerId[] = []
  const container = parseLayerId('container')
  await step('the layers of an image are imported', async () => {
    layers = await importAll(driver, files)
  })
  await step('they come out with what they had', async () => {
    for (const [index, id] of layers.entries()) {
      const expected = await contentOf(tarOf(files[index] ?? ''))
      const found = await contentOf(driver.diff(id, layers[index - 1]))
      for (const [name, text] of expected) assert.equal(found.get(name), text, name)
    }
  })
  await step('a container’s layer shows them, takes writes, and tells of those', async () => {
    await driver.createReadWrite(container, { parent: layers.at(-1), storageOptions: { size: '30G' } })
    const mount = await driver.get(container)
    writeFileSync(path.join(mount.path, 'new'), 'new')
    assert(readFileSync(path.join(mount.path, 'Windows', 'System32', 'drivers', 'etc', 'hosts')).length > 0)
    await mount[Symbol.asyncDispose]()
    const found = await contentOf(driver.diff(container, layers.at(-1)))
    assert(found.has('files/new'))
  })
  await step('all of them are removed', async () => {
    for (const id of [container, ...layers.toReversed()]) await driver.remove(id)
    assert.deepEqual(await Array.fromAsync(driver.layers()), [])
  })
} finally {
  writeFileSync(results, `${JSON.stringify({ os: release(), node: process.version, api, seen }, null, 2)}\n`)
  rmSync(directory, { recursive: true, force: true })
}
process.exitCode = seen.some(({ error }) => error !== undefined) ? 1 : 0
