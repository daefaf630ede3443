/**
 * A process of its own that registers a layer, deletes it again, makes and releases a writable one, or repairs the base, and
 * kills itself at a point:
 * `bytes:N` after N bytes of the tar, `call:N` before the Nth call that changes the filesystem on the main thread.
 * Prints `survived` if it never got there.
 */
import fs from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { parseChainId } from '@graphdriver/core'

const [root = '', driverName = '', action = '', point = ''] = process.argv.slice(2)
const [kind = '', count = '0'] = point.split(':')

function die(): never {
  process.kill(process.pid, 'SIGKILL')
  // The signal is on its way; nothing more may happen before it arrives.
  for (;;);
}

let calls = 0
let armed = false
for (const name of ['open', 'rename', 'mkdir', 'rm'] as const) {
  const call: unknown = fs[name]
  Object.assign(fs, {
    [name]: (...args: readonly unknown[]): unknown => {
      if (kind === 'call' && armed && ++calls === Number(count)) die()
      return typeof call === 'function' ? Reflect.apply(call, fs, args) : undefined
    },
  })
}
syncBuiltinESMExports()

const { dockerInitLayer } = await import('../src/index.ts')
const { DataRoot, definitions } = await import('./data-root.ts')
const { crashLayer, crashBase } = await import('./crash-layer.ts')
const { diffIdOf } = await import('./tar-file.ts')

const definition = definitions.find(({ name }) => name === driverName)
if (definition === undefined) throw new Error(`no driver ${driverName}`)
const data = new DataRoot(definition, root)
const store = await data.store({ durability: 'safe' })
const base = parseChainId(diffIdOf(crashBase))
// Held, so that it is not deleted with the layer above it.
const held = await store.get(base)
armed = action !== 'delete'

async function* dying(bytes: Buffer): AsyncGenerator<Uint8Array> {
  let passed = 0
  for (let at = 0; at < bytes.length; at += 4096) {
    const chunk = bytes.subarray(at, at + 4096)
    passed += chunk.length
    yield chunk
    if (kind === 'bytes' && passed >= Number(count)) die()
  }
}

if (action === 'register') {
  await store.register(dying(crashLayer), base)
} else if (action === 'delete') {
  const layer = await store.register(dying(crashLayer), base)
  armed = true
  await layer.release()
} else if (action === 'repair') {
  const sources = new Map([crashBase, crashLayer].map((bytes) => [diffIdOf(bytes), () => dying(bytes)]))
  await store.repair({
    damaged: [base],
    source: (diffId) => sources.get(diffId),
    requireUnused: () => Promise.resolve(),
  })
} else {
  const rw = await store.createRWLayer('container', base, { init: dockerInitLayer })
  await rw.release()
}
process.stdout.write(held.depth === 1 ? 'survived\n' : 'lost its base\n')
process.exit(0)
