/** All that reads what strangers wrote. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import {
  assembleTar,
  decompress,
  examineTree,
  TarParser,
  TarSplitter,
  TreeWorkers,
  type WhiteoutMode,
} from '@graphdriver/archive'
import { type Driver, GraphDriverError, hostOf, parseChainId, parseLayerId } from '@graphdriver/core'
import {
  openImageSource,
  openReferenceStore,
  parseImageConfig,
  parsePlatform,
  parseReference,
} from '@graphdriver/image'
import { openLayerStore } from '@graphdriver/layer-store'
import { backupStream, BackupParser, readLayer, streamId, writeLayer } from '@graphdriver/windows-layer'
import vfs from '@graphdriver/vfs'
import { makeInputs } from '../inputs.ts'
import { randomOf } from '../random.ts'
import { outside } from './outside.ts'
import { serverTargets } from './server-targets.ts'
import { reader, refusing, refusingOnHost, type Reader, type Target } from './target.ts'
import { hostileTar } from './tars.ts'

async function* whole(bytes: Buffer): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 4096) yield bytes.subarray(at, at + 4096)
}

async function drain(stream: AsyncIterable<Uint8Array>, most = 64 * 1024 * 1024): Promise<void> {
  let bytes = 0
  for await (const chunk of stream) {
    bytes += chunk.length
    if (bytes > most) return
  }
}

function tars(random: () => number): readonly Buffer[] {
  return Array.from({ length: 40 }, () => hostileTar(random))
}

/** A directory of its own, for those who read files. */
function inDirectory(read: (directory: string, input: Buffer) => Promise<void>): () => Promise<Reader> {
  return async () => {
    const directory = mkdtempSync(path.join(tmpdir(), 'fuzz-'))
    return {
      read: (input) => read(directory, input),
      async [Symbol.asyncDispose]() {
        rmSync(directory, { recursive: true })
      },
    }
  }
}

const tarWords = [
  'ustar\x0000',
  'ustar  \0',
  '11 path=a\n',
  '19 GNU.sparse.major=1\n',
  '././@LongLink',
  '\0\0\0\0\0\0\0\0',
] as const
const hex = 'ab'.repeat(32)

function recipeOf(tar: Buffer): Buffer {
  const chunks: Uint8Array[] = []
  const splitter = new TarSplitter((lines) => chunks.push(lines))
  splitter.push(tar)
  splitter.finish()
  return Buffer.concat(chunks)
}

function recipes(random: () => number): readonly Buffer[] {
  return tars(random).flatMap((tar) => {
    try {
      return [recipeOf(tar)]
    } catch {
      return []
    }
  })
}

/** The files of one record, with the driver's directory, each ended by a line of its own. */
const recordFiles = ['diff', 'size', 'cache-id', 'parent', 'tar-split.json.gz', 'mount-id', 'index'] as const
const between = '\n--\n'

async function readRecord(directory: string, driver: Driver, input: Buffer): Promise<void> {
  const layerdb = path.join(directory, 'image/vfs/layerdb')
  const record = path.join(layerdb, 'sha256', hex)
  const mount = path.join(layerdb, 'mounts/web')
  for (const made of [record, mount]) mkdirSync(made, { recursive: true })
  const parts = input.toString('latin1').split(between)
  for (const [at, name] of recordFiles.entries()) {
    const file =
      name === 'index'
        ? path.join(layerdb, '.graphdriver-layers')
        : path.join(name === 'mount-id' ? mount : record, name)
    rmSync(file, { force: true })
    const part = parts[at]
    if (part !== undefined) writeFileSync(file, Buffer.from(part, 'latin1'))
  }
  await refusing(async () => {
    await using store = await openLayerStore({ root: directory, driver, readOnly: true })
    for await (const _ of store.checkRecords());
    for await (const _ of store.checkContents());
    for (const { chainId } of store.layers()) await drain((await store.get(chainId)).tar())
  })
}

async function openRecords(): Promise<Reader> {
  const directory = mkdtempSync(path.join(tmpdir(), 'fuzz-'))
  const driver = await vfs.open(hostOf(vfs, { root: directory }))
  await driver.create(parseLayerId(hex))
  return {
    read: (input) => readRecord(directory, driver, input),
    async [Symbol.asyncDispose]() {
      await driver[Symbol.asyncDispose]()
      rmSync(directory, { recursive: true })
    },
  }
}

const config = JSON.stringify({
  os: 'linux',
  architecture: 'amd64',
  config: { Cmd: ['sh'], Env: ['A=b'], Labels: { a: 'b' }, ExposedPorts: { '80/tcp': {} }, User: 'root' },
  rootfs: { type: 'layers', diff_ids: [`sha256:${hex}`] },
  history: [{ created: '2020-01-01T00:00:00Z', created_by: 'x', empty_layer: true }],
})
const jsonWords = [
  'null',
  'true',
  '[]',
  '{}',
  '""',
  '-1',
  '1e999',
  '"sha256:"',
  '\\u0000',
  '__proto__',
  'constructor',
  '[[[[[[[[',
] as const

export const targets: readonly Target[] = [
  {
    name: 'tar',
    title: 'tar: headers, PAX, GNU long names and sparse maps, in pieces of any size',
    seeds: tars,
    words: tarWords,
    open: reader((input) =>
      refusing(() => {
        const random = randomOf(String(input.length))
        for (const parser of [
          new TarParser({ header: () => undefined, data: () => undefined }),
          new TarSplitter(() => undefined),
        ]) {
          for (let at = 0; at < input.length;) {
            const end = at + 1 + Math.floor(random() * 3000)
            parser.push(input.subarray(at, end))
            at = end
          }
          parser.finish()
        }
      }),
    ),
  },
  {
    name: 'tar-split',
    title: 'tar-split: recipes, and the trees that they are of',
    seeds: recipes,
    words: [
      ...jsonWords,
      '"type":1',
      '"type":2',
      '"name":"../x"',
      '"size":9999999999',
      '"payload":"',
      '"position":',
    ],
    open: inDirectory(async (directory, input) => {
      writeFileSync(path.join(directory, 'a'), 'a')
      await refusing(() => drain(assembleTar(whole(input), directory)))
      await refusing(async () => {
        await examineTree(whole(input), directory, { onDamage: () => undefined })
      })
    }),
  },
  {
    name: 'compressed',
    title: 'gzip and zstd: damaged, cut, several in one, bombs',
    seeds: () => {
      const content = Buffer.from('what is in it '.repeat(200))
      const zeros = Buffer.alloc(8 * 1024 * 1024)
      return [content, Buffer.alloc(0), zeros.subarray(0, 4096)].flatMap((one) => [
        gzipSync(one),
        zstdCompressSync(one),
        Buffer.concat([gzipSync(one), gzipSync(one), Buffer.alloc(512)]),
      ])
    },
    words: ['\x1f\x8b\x08', '\x28\xb5\x2f\xfd', '\x50\x2a\x4d\x18'],
    open: reader((input) =>
      refusing(() => drain(decompress(whole(input), { maxExpansion: 1000, transient: true }))),
    ),
  },
  {
    name: 'image-config',
    title: 'configs of images',
    seeds: () => [Buffer.from(config), Buffer.from('{}'), Buffer.from('[]')],
    words: [...jsonWords, '"rootfs"', '"diff_ids"', '"history"', '"config"', `sha256:${hex}`],
    open: reader((input) =>
      refusing(() =>
        parseImageConfig(
          input,
          (reason, cause) => new GraphDriverError('GD_IMAGE_INVALID', reason, { source: '' }, { cause }),
        ),
      ),
    ),
  },
  {
    name: 'image-archive',
    title: 'docker archives and OCI layouts in tars: manifests, indexes, names',
    async seeds() {
      const directory = mkdtempSync(path.join(tmpdir(), 'fuzz-seed-'))
      try {
        const { base, image } = await makeInputs(directory, 'vfs')
        return [base, image].map((file) => readFileSync(file))
      } finally {
        rmSync(directory, { recursive: true })
      }
    },
    words: [
      ...jsonWords,
      ...tarWords,
      '"Config":',
      '"Layers":',
      '"RepoTags":',
      'index.json',
      'oci-layout',
      'manifest.json',
      '"manifests":',
    ],
    open: inDirectory(async (directory, input) => {
      const file = path.join(directory, 'image.tar')
      writeFileSync(file, input)
      await refusing(async () => {
        await using source = await openImageSource(file, {
          maxExpansion: 1000,
          temporaryDirectory: directory,
        })
        for (const { layers } of await source.images()) for (const layer of layers) await drain(layer.open())
      })
    }),
  },
  {
    name: 'names',
    title: 'names and platforms of images, ids, the file of names',
    seeds: () =>
      [
        'busybox',
        'registry:5000/a/b:tag',
        `a@sha256:${hex}`,
        'linux/arm/v7',
        `{"Repositories":{"a":{"a:b":"sha256:${hex}"}}}`,
      ].map((text) => Buffer.from(text)),
    words: [...jsonWords, ':', '/', '@', '..', 'sha256:', 'localhost', '\0'],
    open: inDirectory(async (directory, input) => {
      const text = input.toString()
      await refusing(() => parseReference(text))
      await refusing(() => parsePlatform(text))
      await refusing(() => parseChainId(text))
      await refusing(() => parseLayerId(text))
      const image = path.join(directory, 'image/vfs')
      mkdirSync(image, { recursive: true })
      writeFileSync(path.join(image, 'repositories.json'), input)
      await refusing(async () => (await openReferenceStore({ root: directory, driver: 'vfs' })).list())
    }),
  },
  {
    name: 'layerdb',
    title: 'records of layers and of writable layers, and their index',
    seeds: (random) => [
      Buffer.from([`sha256:${hex}`, '5', hex, `sha256:${hex}`, '', hex, ''].join(between)),
      Buffer.from([`sha256:${hex}`, '5', hex].join(between)),
      ...recipes(random).map((recipe) =>
        Buffer.concat([
          Buffer.from([`sha256:${hex}`, '1', hex, ''].join(between) + between),
          gzipSync(recipe),
          Buffer.from([between, hex, '{"format":1,"layers":[]}'].join(between)),
        ]),
      ),
    ],
    words: [...jsonWords, 'sha256:', hex, between, '..', '/', '-1'],
    open: openRecords,
  },
  {
    name: 'apply',
    title: 'tars of layers, unpacked: nothing outside of the layer may change',
    seeds: tars,
    words: [...tarWords, '../', '/etc', '.wh.', '.wh..wh..opq'],
    open: openApply,
  },
  {
    name: 'windows-layer',
    title: 'tars of Windows layers, and backup streams',
    seeds: (random) => [
      ...tars(random),
      Buffer.concat([
        backupStream(streamId.data, Buffer.from('data')),
        backupStream(streamId.alternateData, Buffer.from('x'), ':a:$DATA'),
      ]),
    ],
    words: [
      ...tarWords,
      'MSWINDOWS.rawsd',
      'MSWINDOWS.fileattr',
      'MSWINDOWS.mountpoint',
      'Files/',
      'UtilityVM/',
      ':stream:$DATA',
    ],
    open: reader(async (input) => {
      await refusing(() => {
        const parser = new BackupParser({
          stream: () => undefined,
          data: () => undefined,
          end: () => undefined,
        })
        parser.push(input)
        parser.finish()
      })
      await refusing(() => writeLayer(readLayer([input])))
    }),
  },
  ...serverTargets,
]

const modes: readonly WhiteoutMode[] = ['remove', 'keep', { format: 'overlay', xattr: 'trusted' }]

async function openApply(): Promise<Reader> {
  const place = outside()
  // Links to the victim are there already, as a layer below may have made them.
  const workers = new TreeWorkers({ threads: 1 })
  return {
    async read(input) {
      const whiteouts = modes[input.length % modes.length] ?? 'remove'
      // One that is made by rules for each that is changed at random: of what threads reach nothing is learnt here.
      for (const tar of [input, hostileTar(randomOf(input.toString('latin1')))]) {
        place.renew()
        symlinkSync(place.victim, path.join(place.root, 'link'))
        symlinkSync('../victim', path.join(place.root, 'b'))
        await refusingOnHost(() => workers.apply(place.root, whole(tar), { whiteouts }))
        place.verify()
      }
    },
    async [Symbol.asyncDispose]() {
      await workers[Symbol.asyncDispose]()
      place[Symbol.dispose]()
    },
  }
}

export function targetNamed(name: string): Target {
  const found = targets.find((target) => target.name === name)
  if (found !== undefined) return found
  throw new Error(`no target '${name}'; there are ${targets.map((one) => one.name).join(', ')}`)
}
