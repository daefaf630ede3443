/** What other tools write is read, and read as they read it. */
import { execFileSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import path from 'node:path'
import { digestOf } from '@graphdriver/core'
import { need } from '@tooling/lab'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { loadImages, openImageSource } from '../src/index.ts'
import { DataRoot } from './data-root.ts'
import { dockerArchive } from './docker-archive-file.ts'
import { base, above, sampleImage } from './sample-image.ts'

const image = sampleImage({ names: ['sample:1.0'] })

describe.skipIf(process.platform !== 'linux')('an image of', () => {
  let root: DataRoot

  beforeEach(() => {
    root = new DataRoot()
  })

  afterEach(async () => {
    await root[Symbol.asyncDispose]()
  })

  function run(command: string, ...args: readonly string[]): void {
    execFileSync(command, args, { cwd: root.scratch, stdio: ['ignore', 'ignore', 'pipe'] })
  }

  it.for([
    ['docker-archive:copy.tar:sample:1.0', 'copy.tar'],
    ['oci:copy:sample:1.0', 'copy'],
    ['oci-archive:copy.tar:sample:1.0', 'copy.tar'],
  ] as const)('skopeo copy to %s has the same layers (needs skopeo)', async ([target, file], { skip }) => {
    const missing = need({ command: 'skopeo' })
    skip(missing !== undefined, missing)
    root.write('a.tar', dockerArchive(image))
    const options = ['--insecure-policy', '--tmpdir', root.scratch, 'copy', '--quiet']
    run('skopeo', ...options, 'docker-archive:a.tar:sample:1.0', target)
    await using source = await openImageSource(path.join(root.scratch, file))
    const stores = await root.stores()
    const [loaded] = await loadImages(source, stores)
    expect(loaded).toMatchObject({ names: ['sample:1.0'], loaded: 2 })
    expect(stores.layers.layers().map(({ diffId }) => diffId)).toEqual([base, above].map(digestOf))
  })

  it('skopeo copy with zstd has the same layers (needs skopeo)', async ({ skip }) => {
    const missing = need({ command: 'skopeo' })
    skip(missing !== undefined, missing)
    root.write('a.tar', dockerArchive(image))
    const options = [
      '--insecure-policy',
      '--tmpdir',
      root.scratch,
      'copy',
      '--quiet',
      '--dest-compress-format',
      'zstd',
    ]
    run('skopeo', ...options, '--dest-compress', 'docker-archive:a.tar:sample:1.0', 'oci:copy:sample:1.0')
    await using source = await openImageSource(path.join(root.scratch, 'copy'))
    const stores = await root.stores()
    await loadImages(source, stores)
    expect(stores.layers.layers().map(({ diffId }) => diffId)).toEqual([base, above].map(digestOf))
  })

  it('umoci has its tag for a name and the layer it inserted (needs root, umoci)', async ({ skip }) => {
    const missing = need({ root: true, command: 'umoci' })
    skip(missing !== undefined, missing)
    run('umoci', 'init', '--layout', 'box')
    run('umoci', 'new', '--image', 'box:v1')
    const files = path.join(root.scratch, 'files')
    mkdirSync(files)
    root.write('files/hello', 'hello')
    run('umoci', 'insert', '--image', 'box:v1', 'files', '/data')
    run('umoci', 'config', '--image', 'box:v1', '--config.cmd', '/bin/x', '--config.user', '5')
    await using source = await openImageSource(path.join(root.scratch, 'box'))
    const stores = await root.stores()
    const [loaded] = await loadImages(source, stores)
    expect(loaded).toMatchObject({ names: ['box:v1'], layers: 1, loaded: 1, size: 5 })
    const { config } = await stores.images.find('box:v1', stores.references)
    expect(config.config).toMatchObject({ Cmd: ['/bin/x'], User: '5' })
  })
})
