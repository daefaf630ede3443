/** What is no image, or a damaged one: a clear error with its code, and stores as they were. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { digestHex, digestOf } from '@graphdriver/core'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { loadImages, openImageSource } from '../src/index.ts'
import { DataRoot, treeOf } from './data-root.ts'
import { dockerArchive, dockerArchive25, dockerEntries } from './docker-archive-file.ts'
import { LayoutFile, layoutOf, ociIndex, ociManifest } from './layout-file.ts'
import { above, base, layer, sampleImage } from './sample-image.ts'
import { type Entry, tar } from './tar-file.ts'

const image = sampleImage()
const archive = dockerArchive(image)

function withManifest(items: unknown, ...more: readonly Entry[]): Buffer {
  const entries = dockerEntries(image).filter(({ name }) => name !== 'manifest.json')
  return tar(...entries, ...more, { name: 'manifest.json', content: JSON.stringify(items) })
}

/** A layout whose file `name` is what `damage` makes of it. */
function damaged(
  layout: LayoutFile,
  name: string,
  damage: (bytes: Buffer) => Buffer | undefined,
): LayoutFile {
  const bytes = damage(layout.files.get(name) ?? Buffer.alloc(0))
  if (bytes === undefined) layout.files.delete(name)
  else layout.files.set(name, bytes)
  return layout
}

function flipped(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes)
  copy[copy.length >> 1] = (copy[copy.length >> 1] ?? 0) ^ 1
  return copy
}

const blob = (bytes: Uint8Array): string => `blobs/sha256/${digestHex(digestOf(bytes))}`
const gone = (): undefined => undefined
const gzipped = layoutOf(image, 'tar+gzip')
const gzippedBase = blob(gzipSync(base))

describe.skipIf(process.platform !== 'linux')('a bad source', () => {
  let root: DataRoot

  beforeEach(() => {
    root = new DataRoot()
  })

  afterEach(async () => {
    await root[Symbol.asyncDispose]()
  })

  const file = (bytes: Uint8Array | string) => () => root.write('source.tar', bytes)
  const directory = (layout: LayoutFile) => () => layout.writeDirectory(path.join(root.scratch, 'source'))
  const first = (at: number): string =>
    dockerEntries(image).filter(({ name }) => name.endsWith('/layer.tar'))[at]?.name ?? ''
  const config = `${digestHex(image.id)}.json`

  const cases: readonly (readonly [string, () => string, string, RegExp])[] = [
    ['an empty file', file(''), 'GD_IMAGE_INVALID', /is an empty file; accepted is a docker save archive/],
    ['a text file', file('hello\n'), 'GD_IMAGE_INVALID', /is a text file; accepted/],
    ['a long text file', file('hello\n'.repeat(1000)), 'GD_IMAGE_INVALID', /is a text file/],
    ['a JSON document', file('{"a": 1}'), 'GD_IMAGE_INVALID', /is a JSON document/],
    ['a zip archive', file(Buffer.from('504b0304ff00', 'hex')), 'GD_IMAGE_INVALID', /is a zip archive/],
    ['random bytes', file(Buffer.alloc(4096, 0xa7)), 'GD_IMAGE_INVALID', /format not known here/],
    ['zeros', file(Buffer.alloc(4096)), 'GD_IMAGE_INVALID', /is all zeros/],
    ['text in gzip', file(gzipSync('hello')), 'GD_IMAGE_INVALID', /holds a text file; accepted/],
    ['nothing in gzip', file(gzipSync('')), 'GD_IMAGE_INVALID', /holds an empty file/],
    ['an archive in xz', file(Buffer.from('fd377a585a0000', 'hex')), 'GD_IMAGE_INVALID', /xz/],
    ['a truncated gzip', file(gzipSync(archive).subarray(0, 300)), 'GD_IMAGE_INVALID', /cannot be unpacked/],
    [
      'a truncated zstd',
      file(zstdCompressSync(archive).subarray(0, 300)),
      'GD_IMAGE_INVALID',
      /cannot be unpacked/,
    ],
    [
      'a damaged gzip',
      file(flipped(gzipSync(archive))),
      'GD_IMAGE_INVALID',
      /cannot be unpacked|damaged tar/,
    ],
    ['a tar cut in a file', file(archive.subarray(0, 3000)), 'GD_IMAGE_INVALID', /truncated/],
    ['a tar cut in a header', file(archive.subarray(0, 1024 + 100)), 'GD_IMAGE_INVALID', /truncated/],
    [
      'a tar cut between entries',
      file(archive.subarray(0, 1024)),
      'GD_IMAGE_INVALID',
      /truncated tar: it has no end/,
    ],
    [
      'a tar with a broken header',
      file(Buffer.concat([archive.subarray(0, 1024), Buffer.alloc(512, 1)])),
      'GD_IMAGE_INVALID',
      /damaged tar/,
    ],
    [
      'a tar of something else',
      file(tar({ name: 'a', content: 'b' })),
      'GD_IMAGE_INVALID',
      /a tar without 'manifest.json' or 'oci-layout'; accepted/,
    ],
    [
      'an archive one directory too deep',
      file(tar({ name: 'x/manifest.json', content: '[]' })),
      'GD_IMAGE_INVALID',
      /only in 'x'/,
    ],
    [
      'an archive of before Docker 1.10',
      file(tar({ name: 'repositories', content: '{}' })),
      'GD_IMAGE_INVALID',
      /Docker before 1\.10/,
    ],
    [
      'a directory of something else',
      () => root.scratch,
      'GD_IMAGE_INVALID',
      /directory without 'oci-layout'/,
    ],
    [
      'an unpacked archive',
      () => (root.write('manifest.json', '[]'), root.scratch),
      'GD_IMAGE_INVALID',
      /unpacked docker save archive/,
    ],
    ['a device', () => '/dev/null', 'GD_IMAGE_INVALID', /neither a file nor a directory/],

    [
      'a manifest that is no JSON',
      file(tar({ name: 'manifest.json', content: '[' })),
      'GD_IMAGE_INVALID',
      /'manifest.json' is not valid JSON/,
    ],
    [
      'a manifest that is no UTF-8',
      file(tar({ name: 'manifest.json', content: Buffer.from([0x22, 0xff, 0x22]) })),
      'GD_IMAGE_INVALID',
      /'manifest.json' is not valid JSON/,
    ],
    ['a manifest that is no list', file(withManifest({})), 'GD_IMAGE_INVALID', /the document is not a list/],
    ['a manifest without images', file(withManifest([])), 'GD_IMAGE_INVALID', /lists no image/],
    [
      'a manifest without a config',
      file(withManifest([{ Layers: [] }])),
      'GD_IMAGE_INVALID',
      /'\[0\]\.Config' is missing/,
    ],
    [
      'a manifest above its limit',
      file(tar({ name: 'manifest.json', content: Buffer.alloc(4 * 1024 * 1024 + 1, 0x20) })),
      'GD_IMAGE_INVALID',
      /at most 4194304 are accepted/,
    ],
    [
      'a config above its limit',
      file(
        withManifest([{ Config: 'c', Layers: [] }], {
          name: 'c',
          content: Buffer.alloc(8 * 1024 * 1024 + 1, 0x20),
        }),
      ),
      'GD_IMAGE_INVALID',
      /at most 8388608 are accepted/,
    ],
    [
      'a config that is missing',
      file(withManifest([{ Config: 'nowhere.json', Layers: [] }])),
      'GD_IMAGE_INVALID',
      /has no 'nowhere.json'/,
    ],
    [
      'a config that climbs out',
      file(withManifest([{ Config: '../../../../etc/passwd', Layers: [] }])),
      'GD_IMAGE_INVALID',
      /has no '\.\.\/\.\.\/\.\.\/\.\.\/etc\/passwd'/,
    ],
    [
      'a layer that is missing',
      file(withManifest([{ Config: config, Layers: [first(0), 'nowhere/layer.tar'] }])),
      'GD_IMAGE_INVALID',
      /has no 'nowhere\/layer.tar'/,
    ],
    [
      'a layer that is a directory',
      file(withManifest([{ Config: config, Layers: [first(0), path.dirname(first(1))] }])),
      'GD_IMAGE_INVALID',
      /has no /,
    ],
    [
      'a layer that is a link to itself',
      file(withManifest([{ Config: config, Layers: [first(0), 'l'] }], { name: 'l', symlink: 'l' })),
      'GD_IMAGE_INVALID',
      /links without end/,
    ],
    [
      'a layer that links out of the archive',
      file(
        withManifest([{ Config: config, Layers: [first(0), 'l'] }], { name: 'l', symlink: '/etc/passwd' }),
      ),
      'GD_IMAGE_INVALID',
      /has no 'l'/,
    ],
    [
      'fewer layers than the config has',
      file(withManifest([{ Config: config, Layers: [first(0)] }])),
      'GD_IMAGE_INVALID',
      /lists 1 layers where its config has 2/,
    ],
    [
      'a name that is none',
      file(withManifest([{ Config: config, RepoTags: ['A:b'], Layers: [first(0), first(1)] }])),
      'GD_IMAGE_INVALID',
      /lower case/,
    ],
    [
      'layers in the wrong order',
      file(withManifest([{ Config: config, Layers: [first(1), first(0)] }])),
      'GD_DIGEST_MISMATCH',
      /./,
    ],
    [
      'a config that is not what its name says',
      file(
        tar(
          ...dockerEntries(image).map((entry) =>
            entry.name === config ? { ...entry, content: flipped(image.configBytes) } : entry,
          ),
        ),
      ),
      'GD_DIGEST_MISMATCH',
      /instead of/,
    ],
    [
      'an image for Windows',
      file(dockerArchive(sampleImage({ config: { os: 'windows' } }))),
      'GD_IMAGE_INVALID',
      /operating system 'windows'; accepted here is 'linux'/,
    ],
    [
      'a config without rootfs',
      file(dockerArchive(sampleImage({ config: { rootfs: undefined } }))),
      'GD_IMAGE_INVALID',
      /no 'rootfs'/,
    ],
    [
      'a config with a wrong DiffID',
      file(
        dockerArchive(sampleImage({ config: { rootfs: { type: 'layers', diff_ids: ['sha256:zz', 'x'] } } })),
      ),
      'GD_IMAGE_INVALID',
      /rootfs\.diff_ids\[0\]/,
    ],
    [
      'a config with too much history',
      file(dockerArchive(sampleImage({ config: { history: [{}, {}, {}] } }))),
      'GD_IMAGE_INVALID',
      /tells of 3 layers where 'rootfs' has 2/,
    ],
    [
      'a config with numbers for words',
      file(dockerArchive(sampleImage({ config: { config: { Cmd: [1] } } }))),
      'GD_IMAGE_INVALID',
      /'config\.Cmd\[0\]' is not a string/,
    ],
    [
      'a layer that is no tar',
      file(dockerArchive(sampleImage({ layers: [base, Buffer.alloc(2048, 1)] }))),
      'GD_ARCHIVE_INVALID',
      /./,
    ],
    [
      'a layer that breaks out',
      file(dockerArchive(sampleImage({ layers: [base, layer({ name: '../../../../evil', content: 'x' })] }))),
      'GD_ARCHIVE_BREAKOUT',
      /evil/,
    ],
    [
      'a damaged blob of Docker 25',
      file(dockerArchive25(image).fill('z', 2 * 512 + 512 + 20, 2 * 512 + 512 + 21)),
      'GD_DIGEST_MISMATCH',
      /instead of/,
    ],

    [
      'a layout of another version',
      directory(damaged(layoutOf(image), 'oci-layout', () => Buffer.from('{"imageLayoutVersion":"2.0.0"}'))),
      'GD_IMAGE_INVALID',
      /only 1\.x is known/,
    ],
    [
      'a layout without index',
      directory(damaged(layoutOf(image), 'index.json', gone)),
      'GD_IMAGE_INVALID',
      /directory without/,
    ],
    [
      'a layout with an empty index',
      directory(new LayoutFile().index()),
      'GD_IMAGE_INVALID',
      /lists no image in 'index.json'/,
    ],
    [
      'a layout without its config',
      directory(damaged(layoutOf(image), blob(image.configBytes), gone)),
      'GD_IMAGE_INVALID',
      new RegExp(`has no '${blob(image.configBytes)}'`),
    ],
    [
      'a layout without a layer',
      directory(damaged(layoutOf(image), blob(base), gone)),
      'GD_IMAGE_INVALID',
      new RegExp(`has no '${blob(base)}'`),
    ],
    [
      'a layout tar without a layer',
      () => file(damaged(layoutOf(image), blob(base), gone).tar())(),
      'GD_IMAGE_INVALID',
      new RegExp(`has no '${blob(base)}'`),
    ],
    [
      'a damaged config',
      directory(damaged(layoutOf(image), blob(image.configBytes), flipped)),
      'GD_DIGEST_MISMATCH',
      new RegExp(`'${blob(image.configBytes)}' has the digest`),
    ],
    [
      'a damaged layer',
      directory(damaged(layoutOf(image), blob(above), flipped)),
      'GD_DIGEST_MISMATCH',
      new RegExp(`'${blob(above)}' has the digest`),
    ],
    [
      'a damaged compressed layer',
      directory(damaged(gzipped, gzippedBase, flipped)),
      'GD_DIGEST_MISMATCH',
      new RegExp(`'${gzippedBase}' has the digest`),
    ],
    [
      'a short layer',
      directory(damaged(layoutOf(image), blob(above), (bytes) => bytes.subarray(0, 1000))),
      'GD_IMAGE_INVALID',
      /has 1000 bytes .* promised; it is incomplete/,
    ],
    [
      'a layout for another architecture',
      directory(layoutOf(sampleImage({ config: { architecture: 's390x' } }))),
      'GD_IMAGE_PLATFORM',
      /but for linux\/s390x/,
    ],
    [
      'a layout for Windows',
      directory(layoutOf(sampleImage({ config: { os: 'windows' } }))),
      'GD_IMAGE_PLATFORM',
      /but for windows\/amd64/,
    ],
    [
      'a digest that climbs',
      directory(
        new LayoutFile().index({ mediaType: ociManifest, digest: 'sha256:../../../etc/passwd', size: 1 }),
      ),
      'GD_IMAGE_INVALID',
      /not a digest/,
    ],
    [
      'a digest of another algorithm',
      directory(
        new LayoutFile().index({ mediaType: ociManifest, digest: `sha512:${'a'.repeat(128)}`, size: 1 }),
      ),
      'GD_IMAGE_INVALID',
      /not a digest/,
    ],
  ]

  it.each(cases)('is %s: nothing changes', async (_, write, code, message) => {
    const stores = await root.stores()
    const location = write()
    const before = contentOf(root)
    const attempt = async (): Promise<void> => {
      await using source = await openImageSource(location, {
        temporaryDirectory: root.scratch,
        platform: { os: 'linux', architecture: 'amd64' },
      })
      await loadImages(source, stores)
    }
    await expect(attempt()).rejects.toMatchObject({ code, message: expect.stringMatching(message) })
    expect(contentOf(root)).toEqual(before)
    expect(stores.layers.layers()).toEqual([])
    expect(stores.images.list()).toEqual([])
    expect(stores.references.list()).toEqual([])
  })

  it('names blob, expected and found digest of a damaged layer', async () => {
    const stores = await root.stores()
    const damage = damaged(layoutOf(image), blob(above), flipped)
    await using source = await openImageSource(directory(damage)())
    await expect(loadImages(source, stores)).rejects.toMatchObject({
      code: 'GD_DIGEST_MISMATCH',
      details: {
        subject: blob(above),
        expected: digestOf(above),
        found: digestOf(damage.files.get(blob(above)) ?? ''),
      },
    })
  })

  it('is a layout with what is no layer', async () => {
    const layout = new LayoutFile()
    const foreign = layout.blob('application/vnd.oci.image.layer.v1.tar+encrypted', base)
    const small = sampleImage({ layers: [base] })
    const configBlob = layout.blob('application/vnd.oci.image.config.v1+json', small.configBytes)
    layout.index(layout.json(ociManifest, { config: configBlob, layers: [foreign] }))
    await using source = await openImageSource(directory(layout)())
    await expect(source.images()).rejects.toMatchObject({
      code: 'GD_IMAGE_INVALID',
      message: expect.stringMatching(/tar\+encrypted/),
    })
  })

  it('is a document of two kinds', async () => {
    const layout = new LayoutFile()
    const manifest = layout.manifest(image)
    layout.index(layout.json(ociIndex, { manifests: [manifest], layers: [manifest] }))
    await using source = await openImageSource(directory(layout)())
    await expect(source.images()).rejects.toMatchObject({
      code: 'GD_IMAGE_INVALID',
      message: expect.stringMatching(/'layers' has no place in an index/),
    })
  })

  it('is an index that nests without end', async () => {
    const layout = new LayoutFile()
    let inner = layout.manifest(image)
    for (let depth = 0; depth < 12; depth++) inner = layout.json(ociIndex, { manifests: [inner] })
    layout.index(inner)
    await using source = await openImageSource(directory(layout)())
    await expect(source.images()).rejects.toMatchObject({ code: 'GD_IMAGE_INVALID' })
  })

  it('is an index that doubles at each level', async () => {
    const layout = new LayoutFile()
    let inner = layout.manifest(image)
    for (let depth = 0; depth < 7; depth++) inner = layout.json(ociIndex, { manifests: Array(9).fill(inner) })
    layout.index(inner)
    await using source = await openImageSource(directory(layout)())
    await expect(source.images()).rejects.toMatchObject({
      code: 'GD_IMAGE_INVALID',
      message: expect.stringMatching(/more than 4096/),
    })
  })

  it('has a blob that is a link to a file outside', async () => {
    const location = directory(layoutOf(image))()
    const outside = root.write('outside', base)
    rmSync(path.join(location, blob(base)))
    symlinkSync(outside, path.join(location, blob(base)))
    await using source = await openImageSource(location)
    await expect(source.images()).rejects.toMatchObject({ code: 'GD_IMAGE_INVALID' })
  })

  it('has a blob that is a fifo', async () => {
    const location = directory(layoutOf(image))()
    rmSync(path.join(location, blob(base)))
    execFileSync('mkfifo', [path.join(location, blob(base))])
    await using source = await openImageSource(location)
    await expect(source.images()).rejects.toMatchObject({
      code: 'GD_IMAGE_INVALID',
      message: expect.stringMatching(/has no 'blobs/),
    })
  })

  it('has one good image beside a bad one: neither is loaded', async () => {
    const bad = sampleImage({ layers: [base, layer({ name: '../x', content: '1' })], names: ['bad'] })
    const stores = await root.stores()
    const before = contentOf(root)
    await using source = await openImageSource(root.write('a.tar', dockerArchive(image, bad)))
    await expect(loadImages(source, stores)).rejects.toMatchObject({ code: 'GD_ARCHIVE_BREAKOUT' })
    expect(contentOf(root)).toEqual(before)
  })

  it('fails beside an image that is there, which stays', async () => {
    const stores = await root.stores()
    await using good = await openImageSource(root.write('a.tar', archive))
    await loadImages(good, stores)
    const before = contentOf(root)
    const bad = sampleImage({ layers: [base, above, layer({ name: '../x', content: '1' })] })
    await using source = await openImageSource(root.write('b.tar', dockerArchive(bad)))
    await expect(loadImages(source, stores)).rejects.toMatchObject({ code: 'GD_ARCHIVE_BREAKOUT' })
    expect(contentOf(root)).toEqual(before)
    expect((await stores.images.find('sample', stores.references)).id).toBe(image.id)
  })

  it('cannot give a name: layers and images of the load go again', async () => {
    const stores = await root.stores()
    await using first = await openImageSource(
      root.write('a.tar', dockerArchive(sampleImage({ names: ['kept'] }))),
    )
    await loadImages(first, stores)
    const before = contentOf(root)
    const again = sampleImage({ names: ['again'] })
    const other = sampleImage({ layers: [above], names: ['kept', 'new', 'fails'] })
    await using source = await openImageSource(root.write('b.tar', dockerArchive(again, other)))
    const references = {
      tag: async (name: string, id: typeof image.id) => {
        if (name === 'fails:latest') throw new Error('no more names')
        await stores.references.tag(name, id)
      },
      untag: (name: string) => stores.references.untag(name),
      resolve: (name: string) => stores.references.resolve(name),
      namesOf: (id: typeof image.id) => stores.references.namesOf(id),
      list: () => stores.references.list(),
    }
    await expect(loadImages(source, { ...stores, references })).rejects.toThrow('no more names')
    expect(contentOf(root)).toEqual(before)
    expect(stores.images.list().map(({ id }) => id)).toEqual([again.id])
  })

  it.each(['layer', 'bytes', 'image'])('is left by an abort at the first %s: nothing stays', async (at) => {
    const stores = await root.stores()
    const before = contentOf(root)
    const big = layer({ name: 'big', content: Buffer.alloc(8 * 1024 * 1024, 7) })
    await using source = await openImageSource(
      root.write('a.tar', dockerArchive(sampleImage({ layers: [base, big] }))),
    )
    const controller = new AbortController()
    const reason = new Error('enough')
    const loading = loadImages(source, stores, {
      signal: controller.signal,
      onProgress: (event) => {
        if (event.kind === at || (event.kind === 'layer' && event.state === at)) controller.abort(reason)
      },
    })
    await expect(loading).rejects.toBe(reason)
    expect(contentOf(root)).toEqual(before)
  })

  it('leaves nothing in the temporary directory, open, closed or failed', async () => {
    const temporaryDirectory = path.join(root.scratch, 'tmp')
    mkdirSync(temporaryDirectory)
    {
      await using _ = await openImageSource(root.write('a.tgz', gzipSync(archive)), { temporaryDirectory })
      expect(treeOf(temporaryDirectory)).toEqual([])
    }
    writeFileSync(path.join(root.scratch, 'b.tgz'), gzipSync(archive).subarray(0, 500))
    await expect(
      openImageSource(path.join(root.scratch, 'b.tgz'), { temporaryDirectory }),
    ).rejects.toMatchObject({ code: 'GD_IMAGE_INVALID' })
    expect(treeOf(temporaryDirectory)).toEqual([])
  })

  it('is left by an abort while it is unpacked', async () => {
    const big = layer({ name: 'big', content: Buffer.alloc(16 * 1024 * 1024, 7) })
    const file = root.write('a.tzst', zstdCompressSync(dockerArchive(sampleImage({ layers: [big] }))))
    const temporaryDirectory = path.join(root.scratch, 'tmp')
    mkdirSync(temporaryDirectory)
    const controller = new AbortController()
    const reason = new Error('enough')
    const opening = openImageSource(file, { temporaryDirectory, signal: controller.signal })
    setImmediate(() => controller.abort(reason))
    await expect(opening).rejects.toBe(reason)
    expect(treeOf(temporaryDirectory)).toEqual([])
  })

  it('is missing: the system says so', async () => {
    await expect(openImageSource(path.join(root.scratch, 'nowhere'))).rejects.toMatchObject({
      code: 'ENOENT',
    })
  })
})

/** Made once, by the first layer that comes. */
const permanent = /^image\/vfs\/(?:layerdb\/(?:sha256|tmp|mounts)|imagedb(?:\/[^ ]*)?)$/

function contentOf(root: DataRoot): readonly string[] {
  return root.tree().filter((line) => !permanent.test(line))
}
