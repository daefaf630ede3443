/** `node index.js IMAGE.tar [-- COMMAND…]`, as root: the least that runs a container of an image, with runc. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { hostOf } from '@graphdriver/core'
import {
  loadImages,
  openImageSource,
  openImageStore,
  openReferenceStore,
  writeBundle,
} from '@graphdriver/image'
import { dockerInitLayer, openLayerStore } from '@graphdriver/layer-store'
import overlay2 from '@graphdriver/overlay2'

const [archive, separator, ...args] = process.argv.slice(2)
if (archive === undefined || (separator !== undefined && separator !== '--')) {
  console.error('usage: node index.js IMAGE.tar [-- COMMAND…]')
  process.exit(2)
}

const root = await mkdtemp(path.join(tmpdir(), 'runtime-'))
try {
  await using driver = await overlay2.open(hostOf(overlay2, { root }))
  await using layers = await openLayerStore({ root, driver })
  await using images = await openImageStore({ root, driver: driver.name, layers })
  const references = await openReferenceStore({ root, driver: driver.name })
  await using source = await openImageSource(archive)
  const [loaded] = await loadImages(source, { layers, images, references })
  const { chainId, config } = await images.get(loaded.id)

  const container = await layers.createRWLayer('container', chainId, { init: dockerInitLayer })
  try {
    await using mount = await container.mount()
    const bundle = path.join(root, 'bundle')
    await writeBundle(bundle, { rootfs: mount.path, config, args: args.length > 0 ? args : undefined })
    const state = path.join(root, 'runc')
    const runc = spawn('runc', ['--root', state, 'run', '--bundle', bundle, path.basename(root)], {
      stdio: 'inherit',
    })
    const [code] = await once(runc, 'close')
    process.exitCode = code ?? 1
    for (const { kind, path: file } of await container.changes()) console.error(`${kind} ${file}`)
  } finally {
    await container.release()
  }
} finally {
  await rm(root, { recursive: true, force: true })
}
