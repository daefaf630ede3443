import { chmodSync, existsSync, mkdirSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { gzipSync } from 'node:zlib'
import { filesystem, filesystemRequirements, generatedImage, need, type TarEntry, tarOf } from '@tooling/lab'
import { describe, expect, test } from 'vitest'
import { contentOf, type DataRoot, demoRoot, emptyRoot } from './data-root.ts'
import { demoImage, demoName, graphdriver, json, type Outcome } from './graphdriver.ts'
import { ociLayout } from './oci-layout.ts'
import { asOrdinaryUser, whyNoOrdinaryUser } from './ordinary-user.ts'

const file: TarEntry = { name: 'file', content: 'hello\n' }

/** Loads what must not load, and sees that the store is as it was. */
async function refused(root: DataRoot, source: string, ...options: readonly string[]): Promise<Outcome> {
  const before = contentOf(root.path)
  const outcome = await graphdriver(['--root', root.path, ...options, 'load', source])
  expect(contentOf(root.path)).toEqual(before)
  expect(outcome.code).toBe(1)
  expect(outcome.stdout).toBe('')
  expect(outcome.stderr).toMatch(/^graphdriver: .* \[\w+\]$/m)
  expect(outcome.stderr).not.toMatch(/^\s+at /m)
  return outcome
}

describe('load refuses, and changes nothing', () => {
  test('a file that is no tar', async () => {
    await using root = await demoRoot()
    const source = path.join(root.scratch, 'notes.txt')
    await writeFile(source, 'these are notes\n'.repeat(100))
    expect((await refused(root, source)).stderr).toContain('GD_IMAGE_INVALID')
  })

  test('a file that is not there', async () => {
    await using root = await demoRoot()
    expect((await refused(root, '/nonexistent/image.tar')).stderr).toContain(
      '/nonexistent/image.tar: no such file',
    )
  })

  test('a tar that is no image', async () => {
    await using root = await demoRoot()
    const source = path.join(root.scratch, 'files.tar')
    await writeFile(source, tarOf([file]))
    expect((await refused(root, source)).stderr).toContain('manifest.json')
  })

  test('a truncated archive', async () => {
    await using root = await demoRoot()
    const source = path.join(root.scratch, 'half.tar')
    const whole = await readFile(demoImage)
    await writeFile(source, whole.subarray(0, whole.length / 2))
    expect((await refused(root, source)).stderr).toContain('GD_IMAGE_INVALID')
  })

  test('a truncated gzip', async () => {
    await using root = await demoRoot()
    const source = path.join(root.scratch, 'half.tar.gz')
    const whole = gzipSync(await readFile(demoImage))
    await writeFile(source, whole.subarray(0, whole.length / 2))
    expect((await refused(root, source)).stderr).toContain('cannot be unpacked')
  })

  test('a truncated gzip layer', async () => {
    await using root = await demoRoot()
    const flaws = { blob: (gzipped: Buffer) => gzipped.subarray(0, gzipped.length - 20) }
    const source = await ociLayout(path.join(root.scratch, 'image'), tarOf([file]), flaws)
    expect((await refused(root, source)).stderr).toContain('GD_COMPRESSION_INVALID')
  })

  test('a wrong digest in the manifest', async () => {
    await using root = await demoRoot()
    const digest = `sha256:${'1'.repeat(64)}`
    const source = await ociLayout(path.join(root.scratch, 'image'), tarOf([file]), { digest })
    expect((await refused(root, source)).stderr).toMatch(/GD_IMAGE_INVALID|GD_DIGEST_MISMATCH/)
  })

  test('a layer with other bytes than its digest says', async () => {
    await using root = await demoRoot()
    const source = await ociLayout(path.join(root.scratch, 'image'), tarOf([file]))
    const { manifests } = JSON.parse(await readFile(path.join(source, 'index.json'), 'utf8'))
    const blob = (digest: string): string => path.join(source, 'blobs', 'sha256', digest.slice(7))
    const { layers } = JSON.parse(await readFile(blob(manifests[0].digest), 'utf8'))
    await writeFile(blob(layers[0].digest), gzipSync(tarOf([{ name: 'file', content: 'other\n' }])))
    expect((await refused(root, source)).stderr).toContain('GD_DIGEST_MISMATCH')
  })

  test.each([
    ['entries=2', 'more than 2 entries'],
    ['depth=3', 'deeper than 3 directories'],
    ['bytes=10', 'more than 10 bytes of files'],
  ])('what exceeds the limit %s', async (limit, words) => {
    await using root = await demoRoot()
    const tar = tarOf([file, { name: 'a/b/c/d', content: 'hello\n' }, { name: 'last' }])
    const source = await ociLayout(path.join(root.scratch, 'image'), tar)
    const { stderr } = await refused(root, source, '--limit', limit)
    expect(stderr).toContain('GD_ARCHIVE_INVALID')
    expect(stderr).toContain(words)
    expect((await graphdriver(['--root', root.path, '--limit', 'entries=3', 'load', source])).code).toBe(0)
  })

  test('a layer that expands to more than a limit', async () => {
    await using root = await demoRoot()
    const tar = tarOf([{ name: 'zeros', content: '\0'.repeat(300 * 1024 * 1024) }])
    const source = await ociLayout(path.join(root.scratch, 'image'), tar)
    expect((await refused(root, source, '--limit', 'expansion=900')).stderr).toContain('900 times its size')
  })

  test.each(['entries', 'entries=0', 'files=3', 'bytes=1e3'])(
    'the limit %s, as wrong usage',
    async (limit) => {
      const { code, stderr } = await graphdriver(['--limit', limit, 'images'])
      expect([code, stderr]).toEqual([2, expect.stringContaining(`'${limit}' is no limit`)])
    },
  )

  test('a missing layer blob', async () => {
    await using root = await demoRoot()
    const source = await ociLayout(path.join(root.scratch, 'image'), tarOf([file]), { missing: true })
    expect((await refused(root, source)).stderr).toContain('GD_IMAGE_INVALID')
  })

  test.each<readonly [string, TarEntry]>([
    ['an entry above its root', { name: '../../escaped', content: 'x' }],
    [
      'a hard link to what is above its root',
      { name: 'link', link: { kind: 'hard', target: '../../escaped' } },
    ],
  ])('%s', async (_, entry) => {
    await using root = await demoRoot()
    const source = await generatedImage(root.scratch, 'escape:latest', [[file], [entry]])
    const { stderr } = await refused(root, source)
    expect(stderr).toMatch(/GD_ARCHIVE_(?:BREAKOUT|INVALID)/)
    expect(stderr).toContain(entry.name)
  })
})

test.each<readonly [string, string]>([
  ['absolute', ''],
  ['relative', '../../../../../../../../..'],
])('a file through an %s symlink lands inside or nowhere', async (_, prefix) => {
  await using root = await demoRoot()
  const outside = path.join(root.scratch, 'outside')
  mkdirSync(outside)
  const link: TarEntry = { name: 'way', link: { kind: 'symbolic', target: `${prefix}${outside}` } }
  const entry: TarEntry = { name: 'way/planted', content: 'x' }
  const source = await generatedImage(root.scratch, 'escape:latest', [[link], [entry], [link, entry]])
  await graphdriver(['--root', root.path, 'load', source])
  expect(existsSync(path.join(outside, 'planted'))).toBe(false)
})

test('a driver that does not exist', async () => {
  await using root = await demoRoot()
  const before = contentOf(root.path)
  const outcome = await graphdriver(['--root', root.path, '--driver', 'overlay3', 'images'])
  expect(outcome).toMatchObject({ code: 1, stdout: '' })
  expect(outcome.stderr).toContain("driver 'overlay3' is not installed")
  expect(contentOf(root.path)).toEqual(before)
})

test("a root that holds another driver's images", async () => {
  await using root = await emptyRoot()
  await graphdriver(['--root', root.path, '--driver', 'vfs', 'load', demoImage])
  const before = contentOf(root.path)
  const outcome = await graphdriver(['--root', root.path, '--driver', 'overlay2', 'load', demoImage])
  expect(outcome.code).toBe(1)
  expect(outcome.stderr).toContain('holds the images of vfs')
  expect(contentOf(root.path)).toEqual(before)
})

test('an option that the driver does not know', async () => {
  await using root = await emptyRoot()
  const args = ['--root', root.path, '--driver', 'vfs', '--driver-option', 'nonsense=1', 'load', demoImage]
  const outcome = await graphdriver(args)
  expect(outcome.code).toBe(1)
  expect(outcome.stderr).toContain("unknown option 'nonsense'")
})

test('no permission on the root', async ({ skip }) => {
  const missing = whyNoOrdinaryUser()
  skip(missing !== undefined, missing)
  await using root = await emptyRoot()
  mkdirSync(root.path)
  chmodSync(root.path, 0o500)
  await using user = await asOrdinaryUser()
  const outcome = await graphdriver(['--root', root.path, 'load', demoImage], user)
  expect(outcome.code).toBe(1)
  expect(outcome.stderr).toContain(`no permission on ${root.path}; run as root or choose --root`)
})

test('a full disk: says so, and keeps what was there (needs root, tmpfs)', async ({ skip }) => {
  const missing = need(...filesystemRequirements('tmpfs'))
  skip(missing !== undefined, missing)
  await using scratch = await emptyRoot()
  await using disk = await filesystem('tmpfs', { sizeMiB: 4 })
  const root = path.join(disk.path, 'root')
  await graphdriver(['--root', root, 'load', demoImage])
  const big = Array.from({ length: 16 }, (_, at) => ({ name: `big-${at}`, content: 'x'.repeat(512 * 1024) }))
  const source = await generatedImage(scratch.scratch, 'big:latest', [[file], big])
  const before = contentOf(root)
  const outcome = await graphdriver(['--root', root, 'load', source])
  expect(outcome.code).toBe(1)
  expect(outcome.stderr).toMatch(/no space left on the filesystem of .*ENOSPC/)
  expect(contentOf(root)).toEqual(before)
  expect((await json(['--root', root, 'images'])).images).toMatchObject([{ names: [demoName] }])
})

test('errors are one JSON document on stderr with --json', async () => {
  await using root = await emptyRoot()
  const { code, stdout, stderr } = await graphdriver(['--root', root.path, '--json', 'inspect', 'nothing'])
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
  expect(JSON.parse(stderr)).toMatchObject({
    error: { code: 'GD_IMAGE_NOT_FOUND', message: expect.any(String), details: { reference: 'nothing' } },
  })
  expect(existsSync(root.path)).toBe(false)
})

test.each([
  [['bogus'], "unknown command 'bogus'"],
  [['load'], "missing required argument 'file'"],
  [['images', '--nonsense'], "unknown option '--nonsense'"],
  [['run', '--runtime', 'docker', 'image'], 'Allowed choices are runc, crun, chroot'],
  [['--driver-option', 'novalue', 'images'], 'key=value'],
])('a wrong command line is exit code 2: %j', async (args, words) => {
  const outcome = await graphdriver(args)
  expect(outcome).toMatchObject({ code: 2, stdout: '' })
  expect(outcome.stderr).toContain(words)
})
