/** check, scrub and gc. */
import { mkdirSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { gzipSync } from 'node:zlib'
import { rawTar } from '@graphdriver/core/conformance'
import { mount } from '@graphdriver/sys'
import { need } from '@tooling/lab'
import { describe, expect, test } from 'vitest'
import { contentOf, type DataRoot, demoRoot, emptyRoot } from './data-root.ts'
import { demoImage, demoName, graphdriver, succeed } from './graphdriver.ts'
import { ociLayout } from './oci-layout.ts'

const missing = need({ root: true, kernelFilesystem: 'overlay' })

interface Told {
  readonly layers: number
  readonly bytes: number
  readonly findings: readonly {
    readonly kind: string
    readonly object: string
    readonly file?: string
    readonly remedy: string
  }[]
}

/** A regular file with content that a layer of the demo image has, as its driver keeps it. */
function fileOf(root: DataRoot): { readonly path: string; readonly name: string } {
  const home = path.join(root.path, 'overlay2')
  for (const id of readdirSync(home)) {
    const diff = path.join(home, id, 'diff')
    for (const entry of id === 'l' ? [] : readdirSync(diff, { recursive: true, withFileTypes: true })) {
      const file = path.join(entry.parentPath, entry.name)
      if (entry.isFile() && readFileSync(file).length > 0)
        return { path: file, name: path.relative(diff, file) }
    }
  }
  throw new Error('the demo image has no file')
}

const at = (root: DataRoot): readonly string[] => ['--root', root.path, '--driver', 'overlay2']

describe.skipIf(missing !== undefined)(`check, scrub and gc (${missing ?? 'as root'})`, () => {
  test('an empty root and a sound one have nothing wrong, and are as before', async () => {
    await using empty = await emptyRoot()
    expect(await succeed(['--root', empty.path, 'check'])).toBe('checked 0 layers: nothing is damaged\n')
    await using root = await demoRoot()
    await succeed([...at(root), 'mount', demoName, '--name', 'box'])
    await succeed([...at(root), 'unmount', 'box'])
    const before = contentOf(root.path)
    expect(await succeed([...at(root), 'check'])).toMatch(
      /^checked \d layers?, 1 writable layer: nothing is damaged\n$/,
    )
    expect(await succeed([...at(root), '--read-only', 'check', '--full', demoName])).toMatch(
      /^checked \d layers?, \d.* read: nothing is damaged\n$/,
    )
    expect(contentOf(root.path)).toEqual(before)
  })

  test('a file that a power cut emptied is found by --full, named, and the exit code says so', async () => {
    await using root = await demoRoot()
    const file = fileOf(root)
    const size = readFileSync(file.path).length
    truncateSync(file.path)
    expect((await graphdriver([...at(root), 'check'])).code).toBe(0)
    const { code, stdout } = await graphdriver([...at(root), 'check', '--full'])
    expect(code).toBe(1)
    expect(stdout).toContain(`${file.name} expected ${size} bytes, found 0 bytes; graphdriver repair --from`)
    expect(stdout).toMatch(/, 1 damaged\n$|: 1 damaged\n$/)
    const told = JSON.parse((await graphdriver([...at(root), '--json', 'scrub'])).stdout) as Told
    expect(told.findings).toMatchObject([{ kind: 'damage', file: file.name }])
    expect(told.bytes).toBeGreaterThan(0)
  })

  test('repair makes what is damaged again from the file that it came from, with the container on it', async () => {
    await using root = await demoRoot()
    // Chosen before there is a container, whose files are not the image's.
    const file = fileOf(root)
    const mounted = (await succeed([...at(root), 'mount', demoName, '--name', 'box'])).trim()
    writeFileSync(path.join(mounted, 'work'), 'hours of it')
    truncateSync(file.path)
    const busy = await graphdriver([...at(root), 'repair', '--from', demoImage])
    expect([busy.code, busy.stderr]).toEqual([1, expect.stringContaining('graphdriver unmount box')])
    await succeed([...at(root), 'unmount', 'box'])
    expect(await succeed([...at(root), 'repair', '--from', demoImage])).toMatch(
      /^made \d layers? and 1 writable layer again\nwhat was replaced is kept until: graphdriver gc --quarantined\n$/,
    )
    expect(await succeed([...at(root), 'check', '--full'])).toContain(': nothing is damaged\n')
    expect(await succeed([...at(root), 'changes', 'box'])).toBe('A /work\n')
    const { stdout } = await graphdriver([...at(root), '--json', 'gc', '--quarantined'])
    expect((JSON.parse(stdout) as { quarantined: readonly string[] }).quarantined.length).toBeGreaterThan(1)
    expect(await succeed([...at(root), 'changes', 'box'])).toBe('A /work\n')
    expect(await succeed([...at(root), 'repair', '--from', demoImage])).toBe('nothing was repaired\n')
  })

  test('a layer that is in no file stays as it is, and repair says so', async () => {
    await using root = await demoRoot()
    truncateSync(fileOf(root).path)
    // Where a file is missed the whole layer is mounted to look for it, and overlayfs makes a directory of its own.
    const content = (): readonly string[] =>
      contentOf(root.path).filter((line) => !line.includes('/work/work '))
    const before = content()
    const other = path.join(root.scratch, 'other')
    await ociLayout(other, rawTar({ name: 'file', data: 'of another image' }))
    const { code, stdout } = await graphdriver([...at(root), 'repair', '--from', other])
    expect([code, stdout]).toEqual([1, expect.stringContaining('is damaged, and in none of the files')])
    expect(content()).toEqual(before)
  })

  test('names and images are looked at too', async () => {
    await using root = await demoRoot()
    const configs = path.join(root.path, 'image/overlay2/imagedb/content/sha256')
    const [config = ''] = readdirSync(configs)
    truncateSync(path.join(configs, config))
    const { code, stdout } = await graphdriver([...at(root), '--json', 'check'])
    const { findings } = JSON.parse(stdout) as Told
    expect(code).toBe(1)
    expect(findings).toMatchObject([
      { kind: 'damage', object: 'image', file: path.join(configs, config) },
      { kind: 'damage', object: `name ${demoName}`, remedy: expect.stringContaining('rmi') },
    ])
  })

  test('gc tells of what is left over and why, and deletes it and nothing else', async () => {
    await using root = await demoRoot()
    const before = contentOf(root.path)
    const begun = path.join(root.path, 'image/overlay2/layerdb/tmp/write-set-1')
    mkdirSync(begun, { recursive: true })
    writeFileSync(path.join(begun, 'cache-id'), 'a'.repeat(64))
    const withLeftover = contentOf(root.path)
    expect(await succeed([...at(root), 'gc', '--dry-run'])).toBe(
      `would delete ${begun}: a record that was not finished\n1 thing to delete\n`,
    )
    expect(contentOf(root.path)).toEqual(withLeftover)
    const { code, stdout } = await graphdriver([...at(root), 'check'])
    expect([code, stdout]).toEqual([0, expect.stringContaining('1 left over')])
    expect(await succeed([...at(root), 'gc'])).toContain('1 thing deleted\n')
    rmSync(path.dirname(begun), { recursive: true, force: true })
    expect(contentOf(root.path)).toEqual(before.filter((line) => !line.includes('layerdb/tmp')))
    expect(await succeed([...at(root), 'gc'])).toBe('0 things deleted\n')
    const written = path.join(root.path, 'image/overlay2/.tmp-0123456789abcdef')
    writeFileSync(written, '{}')
    expect(await succeed([...at(root), 'gc', '--dry-run'])).toContain(
      `would delete ${written}: a file that was`,
    )
    // Of the command itself: a file that it was writing, a place where it was planning.
    writeFileSync(path.join(root.path, '.graphdriver/.tmp-0123456789abcdef'), '{}')
    const plan = path.join(root.path, '.graphdriver/plan-1/vfs')
    mkdirSync(plan, { recursive: true })
    mount({ source: 'probe', target: plan, type: 'tmpfs' })
    expect(await succeed([...at(root), 'gc'])).toContain('1 thing deleted\n')
    expect(contentOf(root.path)).toEqual(before.filter((line) => !line.includes('layerdb/tmp')))
  })

  test('gc deletes the layers of a load that was killed before its image was there; while an image is damaged, none', async () => {
    await using root = await demoRoot()
    const images = path.join(root.path, 'image/overlay2/imagedb/content/sha256')
    const names = path.join(root.path, 'image/overlay2/repositories.json')
    const records = path.join(root.path, 'image/overlay2/layerdb/sha256')
    for (const image of readdirSync(images)) rmSync(path.join(images, image))
    // A name is left: its image may come back.
    expect(await succeed([...at(root), 'gc'])).toBe('0 things deleted\n')
    writeFileSync(names, '{"Repositories":{}}')
    const layers = readdirSync(records)
    const dry = await succeed([...at(root), 'gc', '--dry-run'])
    for (const layer of layers) expect(dry).toContain(`would delete sha256:${layer} (`)
    expect(readdirSync(records)).toEqual(layers)
    expect(await succeed([...at(root), 'gc'])).toContain('no image has it, and no container stands on it')
    expect(readdirSync(records)).toEqual([])
    expect(readdirSync(path.join(root.path, 'overlay2')).filter((name) => name !== 'l')).toEqual([])
    expect(await succeed(['--root', root.path, 'load', demoImage])).toContain(demoName)
  })

  test('a damaged recipe does not keep the other layers from being read', async () => {
    await using root = await demoRoot()
    const records = path.join(root.path, 'image/overlay2/layerdb/sha256')
    const [first = ''] = readdirSync(records)
    writeFileSync(path.join(records, first, 'tar-split.json.gz'), gzipSync('{}\n'))
    const { code, stdout } = await graphdriver([...at(root), '--json', 'check', '--full'])
    const { findings, layers } = JSON.parse(stdout) as Told
    expect([code, findings.length, layers]).toEqual([1, 1, readdirSync(records).length])
    expect(findings[0]?.object).toBe(`layer sha256:${first}`)
  })

  test.for([
    [['check', 'nobody'], 1, 'nobody'],
    [['check', '--full', '--rate', 'fast'], 2, "'fast' is no number of bytes"],
    [['gc', 'everything'], 2, 'everything'],
  ] as const)('%j is refused', async ([args, exit, words]) => {
    await using root = await demoRoot()
    const { code, stderr } = await graphdriver([...at(root), ...args])
    expect([code, stderr]).toEqual([exit, expect.stringContaining(words)])
  })

  test('gc is refused where nothing may be changed', async () => {
    await using root = await demoRoot()
    const { code, stderr } = await graphdriver([...at(root), '--read-only', 'gc'])
    expect([code, stderr]).toEqual([1, expect.stringContaining('GD_READ_ONLY')])
  })
})
