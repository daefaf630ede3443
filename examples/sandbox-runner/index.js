/**
 * `node index.js IMAGE.tar [COUNT] -- COMMAND…`, as root: runs a command in COUNT root filesystems at a time. All are forked from one
 * that was warmed up, so that what the warm-up wrote is there in each, once on the disk and once in memory.
 */
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { parseArgs, promisify } from 'node:util'
import { hostOf } from '@graphdriver/core'
import { loadImages, openImageSource, openImageStore, openReferenceStore } from '@graphdriver/image'
import { openLayerStore } from '@graphdriver/layer-store'
import overlay2 from '@graphdriver/overlay2'

const separator = process.argv.indexOf('--')
const command = separator === -1 ? [] : process.argv.slice(separator + 1)
const { positionals } = parseArgs({
  args: process.argv.slice(2, separator === -1 ? undefined : separator),
  allowPositionals: true,
})
const [archive, count = '100'] = positionals
if (archive === undefined || command.length === 0) {
  console.error('usage: node index.js IMAGE.tar [COUNT] -- COMMAND…')
  process.exit(2)
}

/** In namespaces of its own, so that it ends with all that it started. */
const inRoot = (root, words) =>
  promisify(execFile)('unshare', ['--pid', '--fork', '--kill-child', '--mount', '--root', root, ...words])

const root = await mkdtemp(path.join(tmpdir(), 'sandboxes-'))
try {
  await using driver = await overlay2.open(hostOf(overlay2, { root }))
  // What is thrown away need not survive a power cut.
  await using layers = await openLayerStore({ root, driver, durability: 'volatile' })
  await using images = await openImageStore({ root, driver: driver.name, layers })
  const references = await openReferenceStore({ root, driver: driver.name })

  await using source = await openImageSource(archive)
  const [loaded] = await loadImages(source, { layers, images, references })
  const image = await images.get(loaded.id)

  // The warm one: what takes long is done once, here.
  const warm = await layers.createRWLayer('warm', image.chainId)
  {
    await using mount = await warm.mount()
    await writeFile(path.join(mount.path, 'warm'), 'made once')
  }
  await using base = await warm.commit()
  await warm.release()

  const started = performance.now()
  const outputs = await Promise.all(
    Array.from({ length: Number(count) }, async (_, at) => {
      const sandbox = await layers.createRWLayer(`sandbox-${at}`, base.chainId)
      try {
        await using mount = await sandbox.mount()
        await writeFile(path.join(mount.path, 'number'), `${at}\n`)
        return (await inRoot(mount.path, command)).stdout
      } finally {
        await sandbox.release()
      }
    }),
  )
  const each = (performance.now() - started) / outputs.length
  for (const output of outputs) process.stdout.write(output)
  console.error(`${outputs.length} sandboxes, ${each.toFixed(1)} ms each, from root to nothing`)
} finally {
  await rm(root, { recursive: true, force: true })
}
