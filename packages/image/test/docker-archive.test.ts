/** How names in an archive are found, and that only what is asked for is read. */
import { execFileSync, spawn } from 'node:child_process'
import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs'
import path from 'node:path'
import { digestHex, digestOf } from '@graphdriver/core'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openImageSource, type SourceImage } from '../src/index.ts'
import { DataRoot } from './data-root.ts'
import { dockerArchive, dockerEntries } from './docker-archive-file.ts'
import { base, sampleImage } from './sample-image.ts'
import { type Entry, tar } from './tar-file.ts'

const image = sampleImage({ layers: [base] })
const config: Entry = { name: 'c.json', content: image.configBytes }

describe.skipIf(process.platform === 'win32')('a docker archive', () => {
  let root: DataRoot

  beforeEach(() => {
    root = new DataRoot()
  })

  afterEach(async () => {
    await root[Symbol.asyncDispose]()
  })

  function manifest(layer: string): Entry {
    return {
      name: 'manifest.json',
      content: JSON.stringify([{ Config: 'c.json', RepoTags: null, Layers: [layer] }]),
    }
  }

  async function contentOf(found: SourceImage | undefined): Promise<Buffer> {
    return Buffer.concat(await Array.fromAsync(found?.layers[0]?.open() ?? []))
  }

  const content = base
  const trees: readonly (readonly [string, string, readonly Entry[]])[] = [
    ['under the same name', 'l', [{ name: 'l', content }]],
    ['with ./ before it', 'a/l', [{ name: './a/' }, { name: './a/l', content }]],
    ['asked for with ./ before it', './a//l', [{ name: 'a/l', content }]],
    [
      'behind a relative symlink',
      'a/l',
      [
        { name: 'b/l', content },
        { name: 'a/l', symlink: '../b/l' },
      ],
    ],
    [
      'behind a symlink beside it',
      'a/l',
      [
        { name: 'a/m', content },
        { name: 'a/l', symlink: 'm' },
      ],
    ],
    [
      'behind an absolute symlink',
      'a/l',
      [
        { name: 'b/l', content },
        { name: 'a/l', symlink: '/b/l' },
      ],
    ],
    [
      'behind a symlink that climbs too high',
      'a/l',
      [
        { name: 'b', content },
        { name: 'a/l', symlink: '../../../b' },
      ],
    ],
    [
      'behind two symlinks',
      'x',
      [
        { name: 'x', symlink: 'y' },
        { name: 'y', symlink: 'z' },
        { name: 'z', content },
      ],
    ],
    [
      'behind a symlink to its directory',
      'd/l',
      [
        { name: 'e/l', content },
        { name: 'd', symlink: 'e' },
      ],
    ],
    [
      'behind a hard link',
      'a/l',
      [
        { name: 'b/l', content },
        { name: 'a/l', hardlink: 'b/l' },
      ],
    ],
    [
      'as the last of that name',
      'l',
      [
        { name: 'l', content: 'old' },
        { name: 'l', content },
      ],
    ],
    [
      'before what cannot be named',
      'l',
      [
        { name: 'l', content },
        { name: '../l', content: 'outside' },
      ],
    ],
  ]

  it.each(trees)('has a file %s', async (_, name, entries) => {
    await using source = await openImageSource(root.write('a.tar', tar(...entries, config, manifest(name))))
    const [found] = await source.images()
    expect(found?.id).toBe(image.id)
    expect(found?.layers[0]).toMatchObject({ blob: name, size: base.length, digest: undefined })
    expect(await contentOf(found)).toEqual(base)
  })

  it('has names of any length (GNU tar, PAX)', async () => {
    const directory = 'd'.repeat(150)
    const long = `${directory}/${'n'.repeat(120)}`
    for (const format of ['gnu', 'pax']) {
      execFileSync('mkdir', ['-p', path.join(root.scratch, format, directory)])
      root.write(path.join(format, long), base)
      root.write(path.join(format, 'c.json'), image.configBytes)
      root.write(path.join(format, 'manifest.json'), manifest(long).content ?? '')
      const file = path.join(root.scratch, `${format}.tar`)
      execFileSync('tar', ['-C', path.join(root.scratch, format), `--format=${format}`, '-cf', file, '.'])
      await using source = await openImageSource(file)
      const [found] = await source.images()
      expect(await contentOf(found)).toEqual(base)
    }
  })

  it('with a sparse layer is refused with the remedy', async () => {
    execFileSync('mkdir', [path.join(root.scratch, 'sparse')])
    const descriptor = openSync(path.join(root.scratch, 'sparse/l'), 'w')
    ftruncateSync(descriptor, 4 * 1024 * 1024)
    closeSync(descriptor)
    root.write('sparse/c.json', image.configBytes)
    root.write('sparse/manifest.json', manifest('l').content ?? '')
    const file = path.join(root.scratch, 'sparse.tar')
    execFileSync('tar', ['-C', path.join(root.scratch, 'sparse'), '--sparse', '-cf', file, '.'])
    await using source = await openImageSource(file)
    await expect(source.images()).rejects.toMatchObject({
      code: 'GD_IMAGE_INVALID',
      message: expect.stringMatching(/without --sparse/),
    })
  })

  it('of a terabyte is opened by its headers', async () => {
    // The layer is a hole: reading it would take longer than the test may.
    const size = 1024 ** 4
    const [header] = [tar({ name: 'l', content: '' }).subarray(0, 512)]
    header.fill(0, 124, 136)
    header.writeUInt32BE(0x80000000, 124)
    header.writeBigUInt64BE(BigInt(size), 128)
    header.write('        ', 148, 'latin1')
    const sum = header.reduce((total, byte) => total + byte, 0)
    header.write(`${sum.toString(8).padStart(6, '0')}\u0000 `, 148, 'latin1')
    const file = root.write('a.tar', header)
    const descriptor = openSync(file, 'r+')
    writeSync(descriptor, tar(config, manifest('l')), 0, undefined, 512 + size)
    closeSync(descriptor)
    await using source = await openImageSource(file)
    expect((await source.images())[0]?.layers[0]?.size).toBe(size)
  })

  it('comes through a pipe', async () => {
    const pipe = path.join(root.scratch, 'pipe')
    execFileSync('mkfifo', [pipe])
    const file = root.write('a.tar', dockerArchive(image))
    const writer = spawn('sh', ['-c', 'exec cat "$0" > "$1"', file, pipe])
    await using source = await openImageSource(pipe, { temporaryDirectory: root.scratch })
    expect((await source.images()).map(({ id }) => id)).toEqual([image.id])
    writer.kill()
  })

  it('is for another architecture: only refused when one is asked for', async () => {
    const foreign = sampleImage({ layers: [base], config: { architecture: 's390x' } })
    const file = root.write('a.tar', dockerArchive(foreign))
    await using unasked = await openImageSource(file)
    expect(await unasked.images()).toHaveLength(1)
    await using asked = await openImageSource(file, { platform: { os: 'linux', architecture: 'amd64' } })
    await expect(asked.images()).rejects.toMatchObject({ code: 'GD_IMAGE_PLATFORM' })
  })

  it('gives a layer from the middle, as often as asked', async () => {
    await using source = await openImageSource(root.write('a.tar', dockerArchive(sampleImage(), image)))
    const [first, second] = await source.images()
    const both = await Promise.all([contentOf(first), contentOf(second), contentOf(first)])
    expect(both.map((bytes) => digestOf(bytes))).toEqual([digestOf(base), digestOf(base), digestOf(base)])
  })

  it('is read no further when the reader leaves', async () => {
    await using source = await openImageSource(root.write('a.tar', tar(...dockerEntries(image))))
    const [found] = await source.images()
    for await (const chunk of found?.layers[0]?.open() ?? []) {
      expect(chunk.length).toBeGreaterThan(0)
      break
    }
    expect(await contentOf(found)).toEqual(base)
  })

  it('verifies a layer that is named by its digest', async () => {
    const name = `blobs/sha256/${digestHex(digestOf(base))}`
    const damaged = Buffer.from(base)
    damaged[0] = 0x78
    const file = root.write('a.tar', tar({ name, content: damaged }, config, manifest(name)))
    await using source = await openImageSource(file)
    const [found] = await source.images()
    expect(found?.layers[0]?.digest).toBe(digestOf(base))
    await expect(contentOf(found)).rejects.toMatchObject({
      code: 'GD_DIGEST_MISMATCH',
      details: { subject: name, expected: digestOf(base), found: digestOf(damaged) },
    })
  })
})
