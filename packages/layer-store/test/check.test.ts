/** That every kind of damage is found and named, and that looking for it changes nothing. */
import { createHash } from 'node:crypto'
import {
  appendFileSync,
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import { digestHex, type Driver, type LayerRecord, randomLayerId } from '@graphdriver/core'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { DirectoryLayerStore, Finding } from '../src/index.ts'
import { candidates, DataRoot } from './data-root.ts'
import { stream, tar } from './tar-file.ts'

const base = tar(
  { name: 'etc/' },
  { name: 'etc/motd', content: 'welcome\n' },
  { name: 'etc/big', content: Buffer.alloc(700_000, 'big') },
  { name: 'etc/gone', content: 'to be hidden' },
  { name: 'etc/empty' },
  { name: 'etc/link', symlink: 'motd' },
  { name: 'etc/hard', hardlink: 'etc/motd' },
)
const upper = tar({ name: 'etc/' }, { name: 'etc/.wh.gone' }, { name: 'etc/motd', content: 'changed\n' })

/** Changes a layer's files as only somebody who goes past the driver can. */
type Damage = (files: string) => void

const inFiles: readonly (readonly [
  what: string,
  file: string,
  damage: Damage,
  expected: RegExp,
  found: RegExp,
])[] = [
  [
    'a byte of a file',
    'etc/motd',
    (at) => writeFileSync(`${at}/etc/motd`, 'Welcome\n'),
    /^CRC-64 /,
    /^CRC-64 /,
  ],
  [
    'the last byte of a large file',
    'etc/big',
    (at) => {
      truncateSync(`${at}/etc/big`, 699_999)
      appendFileSync(`${at}/etc/big`, 'x')
    },
    /^CRC-64 /,
    /^CRC-64 /,
  ],
  [
    'an empty file, as a power cut leaves it',
    'etc/motd',
    (at) => truncateSync(`${at}/etc/motd`),
    /^8 bytes$/,
    /^0 bytes$/,
  ],
  ['a file that is gone', 'etc/motd', (at) => unlinkSync(`${at}/etc/motd`), /^a file$/, /^nothing$/],
  [
    'a hard link that is gone',
    'etc/hard',
    (at) => unlinkSync(`${at}/etc/hard`),
    /^a hard link to etc\/motd$/,
    /^nothing$/,
  ],
  ['an empty file that is gone', 'etc/empty', (at) => unlinkSync(`${at}/etc/empty`), /^a file$/, /^nothing$/],
  ['a mode', 'etc/big', (at) => chmodSync(`${at}/etc/big`, 0o4755), /^mode 644$/, /^4755$/],
  ['an owner', 'etc/big', (at) => chownSync(`${at}/etc/big`, 7, 8), /^owner 0:0$/, /^7:8$/],
  [
    'a link target',
    'etc/link',
    (at) => {
      unlinkSync(`${at}/etc/link`)
      symlinkSync('big', `${at}/etc/link`)
    },
    /^a link to motd$/,
    /^to big$/,
  ],
  [
    'a directory that became a file',
    'etc/empty',
    (at) => {
      unlinkSync(`${at}/etc/empty`)
      mkdirSync(`${at}/etc/empty`)
    },
    /^a file$/,
    /^directory$/,
  ],
]

async function found(store: DirectoryLayerStore): Promise<readonly Finding[]> {
  return [...(await Array.fromAsync(store.checkRecords())), ...(await Array.fromAsync(store.checkContents()))]
}

/** Where a layer's own files can be changed. */
async function filesOf(driver: Driver, { cacheId }: LayerRecord): Promise<string> {
  if (driver.ownFiles === undefined) return (await driver.get(cacheId)).path
  return (await driver.ownFiles(cacheId)).path
}

function contentOf(directory: string): readonly string[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .toSorted()
    .map((name) => {
      const file = path.join(directory, name)
      const stat = lstatSync(file)
      const digest = stat.isFile() ? createHash('sha256').update(readFileSync(file)).digest('hex') : ''
      return `${name} ${stat.mode} ${stat.mtimeMs} ${digest}`
    })
}

for (const { name, definition, skipped, reason } of await candidates()) {
  describe.skipIf(skipped)(`check of a store on ${name}${reason}`, () => {
    let root: DataRoot
    let layers: readonly [LayerRecord, LayerRecord]

    beforeEach(async () => {
      root = new DataRoot(definition)
      const store = await root.store()
      const below = await store.register(stream(base), undefined)
      const above = await store.register(stream(upper), below.chainId)
      await store.createRWLayer('box', above.chainId)
      const records = store.layers()
      const [first, second] = [
        records.find(({ chainId }) => chainId === below.chainId),
        records.find(({ chainId }) => chainId === above.chainId),
      ]
      if (first === undefined || second === undefined) throw new Error('the layers are not listed')
      layers = [first, second]
    })

    afterEach(async () => {
      await root[Symbol.asyncDispose]()
    })

    const record = (layer: LayerRecord, file: string): string =>
      path.join(root.layerdb, 'sha256', digestHex(layer.chainId), file)

    it('finds nothing where nothing is wrong, reads all, and changes nothing', async () => {
      const store = await root.store()
      const before = contentOf(root.path)
      let bytes = 0
      const onProgress = ({ bytes: read, done }: { bytes: number; done: boolean }): void => {
        if (done) bytes += read
      }
      expect(await Array.fromAsync(store.checkRecords())).toEqual([])
      expect(await Array.fromAsync(store.checkContents({ onProgress }))).toEqual([])
      const copied = store.driver.ownFiles === undefined ? 700_000 : 0
      expect(bytes).toBe(8 + 700_000 + 12 + 8 + copied)
      expect(contentOf(root.path)).toEqual(before)
    })

    it('finds what has changed in a copy of a layer below, and blames no other layer', async ({ skip }) => {
      const store = await root.store()
      skip(store.driver.ownFiles !== undefined, 'layers are no copies here')
      const files = await filesOf(store.driver, layers[1])
      // Not in place: the file may be one with that of the layer below.
      unlinkSync(`${files}/etc/big`)
      writeFileSync(`${files}/etc/big`, Buffer.alloc(700_000, 'bag'))
      const findings = await Array.fromAsync(store.checkContents())
      expect(findings).toMatchObject([
        { layer: layers[1].chainId, file: 'etc/big', expected: expect.stringMatching('CRC-64') },
      ])
      unlinkSync(`${files}/etc/big`)
      expect(await Array.fromAsync(store.checkContents())).toMatchObject([
        { layer: layers[1].chainId, found: 'nothing' },
      ])
    })

    it('finds nothing in what replaces something of a layer below by something else', async () => {
      const store = await root.store()
      const things = {
        file: [{ name: 'a', content: 'below' }],
        empty: [{ name: 'a' }],
        directory: [
          { name: 'a/' },
          { name: 'a/in', content: 'below' },
          { name: 'a/sub/' },
          { name: 'a/sub/in' },
        ],
        link: [{ name: 'a', symlink: 'nowhere' }],
      } as const
      for (const lower of Object.values(things)) {
        for (const above of Object.values(things)) {
          const below = await store.register(stream(tar(...lower)), undefined)
          const layer = await store.register(stream(tar(...above)), below.chainId)
          // One more, which has the other two below it.
          await store.register(stream(tar({ name: 'more', content: 'x' })), layer.chainId)
        }
      }
      expect(await found(store)).toEqual([])
    })

    it('finds that an empty file of a layer below is missing in a copy', async ({ skip }) => {
      const store = await root.store()
      skip(store.driver.ownFiles !== undefined, 'layers are no copies here')
      unlinkSync(`${await filesOf(store.driver, layers[1])}/etc/empty`)
      const findings = await Array.fromAsync(store.checkContents())
      expect(findings).toMatchObject([{ layer: layers[1].chainId, file: 'etc/empty', found: 'nothing' }])
    })

    it.each(inFiles)('finds %s', async (_, file, damage, expected, wrong) => {
      const store = await root.store()
      damage(await filesOf(store.driver, layers[0]))
      expect(await Array.fromAsync(store.checkRecords())).toEqual([])
      const findings = await Array.fromAsync(store.checkContents({ layers: [layers[0].chainId] }))
      expect(findings).toContainEqual({
        kind: 'damage',
        object: `layer ${layers[0].chainId}`,
        layer: layers[0].chainId,
        file,
        expected: expect.stringMatching(expected),
        found: expect.stringMatching(wrong),
        remedy: expect.stringContaining('load it again'),
      })
      // A hard link is the same file under another name.
      const others = findings.filter((finding) => finding.file !== file && finding.file !== 'etc/hard')
      expect(others).toEqual([])
    })

    const inRecords: readonly (readonly [what: string, file: string, damage: (file: string) => void])[] = [
      ['an empty diff', 'diff', (file) => truncateSync(file)],
      ['a diff of another layer', 'diff', (file) => writeFileSync(file, `sha256:${'a'.repeat(64)}`)],
      ['a size that is none', 'size', (file) => writeFileSync(file, 'large')],
      ['a cache-id that is gone', 'cache-id', (file) => unlinkSync(file)],
      ['a parent that is none', 'parent', (file) => writeFileSync(file, 'x')],
    ]

    it.each(inRecords)('finds %s', async (_, file, damage) => {
      damage(record(layers[1], file))
      const store = await root.store()
      const findings = await Array.fromAsync(store.checkRecords())
      const own = findings.filter(({ kind }) => kind === 'damage')
      expect(own.length).toBeGreaterThan(0)
      expect(own[0]?.object).toContain(digestHex(layers[1].chainId))
      expect(own[0]?.found).toContain(file === 'diff' && _.includes('another') ? 'describes' : file)
    })

    it('finds damage that came after the store was opened', async () => {
      const store = await root.store()
      truncateSync(record(layers[1], 'diff'))
      const [finding] = await Array.fromAsync(store.checkRecords())
      expect(finding).toMatchObject({ object: `layer ${layers[1].chainId}`, file: record(layers[1], 'diff') })
    })

    const inRecipes: readonly (readonly [what: string, damage: (recipe: Buffer) => Buffer])[] = [
      ['truncated', (recipe) => recipe.subarray(0, recipe.length - 30)],
      ['empty', () => Buffer.alloc(0)],
      ['no gzip', () => Buffer.from('{}\n')],
      [
        'of other bytes',
        (recipe) => gzipSync(gunzipSync(recipe).toString().replace('"position":2', '"position":3')),
      ],
      [
        'of a header that says something else',
        (recipe) => {
          const lines = gunzipSync(recipe).toString().split('\n')
          const first = JSON.parse(lines[0] ?? '') as { payload: string }
          const header = Buffer.from(first.payload, 'base64')
          header.write('1', 140, 'latin1')
          lines[0] = JSON.stringify({ ...first, payload: header.toString('base64') })
          return gzipSync(lines.join('\n'))
        },
      ],
    ]

    it.each(inRecipes)('finds a recipe that is %s', async (_, damage) => {
      const recipe = record(layers[0], 'tar-split.json.gz')
      writeFileSync(recipe, damage(readFileSync(recipe)))
      const findings = await found(await root.store())
      expect(findings.map(({ kind, object, file }) => ({ kind, object, file }))).toContainEqual({
        kind: 'damage',
        object: `layer ${layers[0].chainId}`,
        file: recipe,
      })
    })

    it('finds layers that the driver has not, of images and of containers', async () => {
      const store = await root.store()
      const { mountId } = store.writableLayers()[0] ?? {}
      if (mountId === undefined) throw new Error('no writable layer')
      await store.driver.remove(mountId)
      await store.driver.remove(layers[1].cacheId)
      expect(await found(store)).toMatchObject([
        {
          kind: 'damage',
          object: `layer ${layers[1].chainId}`,
          file: record(layers[1], 'cache-id'),
          found: 'nothing',
        },
        {
          kind: 'damage',
          object: "writable layer 'box'",
          expected: `${name} layer ${mountId}`,
          found: 'nothing',
        },
      ])
    })

    it('finds a container without its record of what is mounted', async () => {
      unlinkSync(path.join(root.layerdb, 'mounts/box/mount-id'))
      const store = await root.store()
      const findings = await Array.fromAsync(store.checkRecords())
      expect(findings.map(({ kind, object }) => [kind, object])).toContainEqual(['damage', 'record box'])
    })

    it('tells what is left over, how large it is and why, and collect deletes just that', async () => {
      const store = await root.store()
      const orphan = randomLayerId()
      await store.driver.create(orphan)
      await store.driver.applyDiff(orphan, undefined, stream(base))
      const begun = path.join(root.layerdb, 'tmp/write-set-0')
      mkdirSync(begun, { recursive: true })
      const removing = `${record(layers[1], '').slice(0, -1)}-${'b'.repeat(64)}-removing`
      mkdirSync(removing)
      const leftovers = await store.leftovers({ sizes: true })
      expect(leftovers.map(({ kind, name: what }) => [kind, what])).toEqual([
        ['layer', orphan],
        ['directory', removing],
        ['directory', begun],
      ])
      expect(leftovers[0]?.bytes).toBeGreaterThanOrEqual(700_000)
      expect(leftovers[0]?.reason).toBe('no record names it')
      const findings = await Array.fromAsync(store.checkRecords())
      expect(findings.map(({ kind, remedy }) => [kind, remedy])).toEqual(
        leftovers.map(() => ['leftover', 'graphdriver gc']),
      )
      await store.collect()
      expect([await store.leftovers(), await found(store)]).toEqual([[], []])
      expect(statSync(record(layers[1], 'diff')).size).toBeGreaterThan(0)
    })

    it('reads no faster than it may, and stops when it is told to', async () => {
      const store = await root.store()
      const controller = new AbortController()
      const reason = new Error('enough')
      const reading = Array.fromAsync(
        store.checkContents({
          bytesPerSecond: 1000,
          signal: controller.signal,
          onProgress: () => setImmediate(() => controller.abort(reason)),
        }),
      )
      await expect(reading).rejects.toBe(reason)
    })
  })
}
