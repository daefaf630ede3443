/**
 * The calls are those of Docker's own driver: moby 20.10.24's windowsfilter, cross-compiled and run under Wine on
 * another double of the same DLL, did the same things, and `moby-calls.json` has what it called with what. GUIDs are the
 * doubles' own, and names of temporary folders are not compared.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { base, directory, type DoubleCall, file, type HcsCase, id, image } from './case.ts'

type Line = Readonly<Record<string, unknown>>

function recorded(name: string): readonly Line[] {
  const all: unknown = JSON.parse(readFileSync(new URL('moby-calls.json', import.meta.url), 'utf8'))
  assert(typeof all === 'object' && all !== null && name in all)
  return (all as Readonly<Record<string, readonly Line[]>>)[name] ?? []
}

/** In the words of the recording. */
function comparable({ call, layer, folder, ...rest }: DoubleCall, root: string): Line {
  const local = (text: unknown): unknown =>
    typeof text === 'string' ? text.replaceAll(root, 'C:\\docker') : text
  const chain = Array.isArray(rest['chain'])
    ? { chain: rest['chain'].map((one: unknown) => local((one as { readonly path: unknown }).path)) }
    : {}
  const from =
    folder === undefined ? {} : { folder: /\\hcs[^\\]*$/.test(folder) ? 'temporary' : local(folder) }
  const kept = Object.fromEntries(
    ['parent', 'size', 'name'].filter((key) => key in rest).map((key) => [key, rest[key]]),
  )
  return { call, ...(layer === undefined ? {} : { layer: local(layer) }), ...kept, ...from, ...chain }
}

export const traceCases: readonly HcsCase[] = [
  {
    name: 'layers are made, shown and hidden by the calls that Docker makes',
    api: 'vmcompute',
    async run(context) {
      const driver = await context.open()
      let seen = context.calls()
      const since = (): readonly Line[] => {
        const all = context.calls()
        const lines = all.slice(seen.length).map((line) => comparable(line, context.root))
        seen = all
        return lines
      }
      await image(driver, 'base', undefined, ...base)
      assert.deepEqual(since(), recorded('base'))
      await image(driver, 'child', 'base', directory('Files'), file('Files/c', 'c'))
      assert.deepEqual(since(), recorded('child'))
      await driver.createReadWrite(id('rw'), { parent: id('child'), storageOptions: { size: '30G' } })
      const made = since()
      // Wine calls itself a build on which Docker, too, makes the volume grow by further calls: the recording has another.
      const expanded = made.findIndex(({ call }) => call === 'ExpandSandboxSize')
      assert.deepEqual(made.slice(0, expanded + 1), recorded('container'))
      const mount = await driver.get(id('rw'))
      assert.deepEqual(since(), recorded('get'))
      await mount[Symbol.asyncDispose]()
      assert.deepEqual(since(), recorded('put'))
      await driver.remove(id('rw'))
      assert.deepEqual(since(), recorded('remove'))
    },
  },
]
