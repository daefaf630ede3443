/**
 * `node index.js CACHE KEY -- COMMAND…`, as root: runs a build in the directory that the last build of this key left, and keeps what it
 * leaves as one more layer. A build that fails leaves the cache as it was. What several keys begin with is kept once: KEY may be
 * `main/feature`, which begins with what `main` has.
 */
import { spawnSync } from 'node:child_process'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { hostOf } from '@graphdriver/core'
import { lockStore, openLayerStore } from '@graphdriver/layer-store'
import overlay2 from '@graphdriver/overlay2'

const [cache, key, separator, ...command] = process.argv.slice(2)
if (separator !== '--' || command.length === 0) {
  console.error('usage: node index.js CACHE KEY -- COMMAND…')
  process.exit(2)
}

const root = path.resolve(cache)
const file = path.join(root, 'keys.json')
await mkdir(root, { recursive: true })

async function readKeys() {
  try {
    return JSON.parse(await readFile(file, 'utf8'))
  } catch (error) {
    if (error.code !== 'ENOENT') throw error
    return {}
  }
}

/** The nearest that there is: `main/feature`, then `main`. */
function startOf(keys, wanted) {
  for (let name = wanted; name !== '.'; name = path.posix.dirname(name)) if (name in keys) return keys[name]
  return undefined
}

await using _lock = await lockStore(root, 'exclusive')
await using driver = await overlay2.open(hostOf(overlay2, { root }))
await using layers = await openLayerStore({ root, driver })
await layers.collect() // What a killed build left.

const keys = await readKeys()
// Held as long as a key names them: a layer that nobody holds goes when the last one lets go of it.
const held = await Promise.all([...new Set(Object.values(keys))].map((chainId) => layers.get(chainId)))
const parent = startOf(keys, key)
const build = await layers.createRWLayer('build', parent)
let status
try {
  {
    await using mount = await build.mount()
    status = spawnSync(command[0], command.slice(1), { cwd: mount.path, stdio: 'inherit' }).status ?? 1
  }
  const changes = await build.changes()
  if (status === 0 && changes.length > 0) {
    const layer = await build.commit()
    await writeFile(`${file}.new`, JSON.stringify({ ...keys, [key]: layer.chainId }), { flush: true })
    await rename(`${file}.new`, file)
    console.error(`${key}: kept ${changes.length} changes, ${layer.diffSize} bytes`)
  } else console.error(`${key}: ${status === 0 ? 'nothing has changed' : 'failed, nothing is kept'}`)
} finally {
  await build.release()
}
// Not let go of `held`: that would delete them. They are records on the disk, which closing leaves alone.
console.error(`${held.length} layers were there`)
process.exitCode = status
