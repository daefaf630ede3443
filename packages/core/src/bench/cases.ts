/** All benchmarks, the cheapest first. */
import { createReadStream, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { Capabilities } from '../capabilities.ts'
import type { CaseContext } from '../conformance/context.ts'
import { file, type Recipe } from '../conformance/recipe/step.ts'
import type { TarStream } from '../driver.ts'
import type { LayerId } from '../id.ts'
import type { BenchCase, BenchSettings } from './bench-case.ts'
import { fewFiles, manyFiles, manyLayers } from './contents.ts'
import { unpackLayer } from './layer-file.ts'

/** Layers on top of each other; the names tell the depth, so that what is written again has another time. */
async function topOf(context: CaseContext, ...recipes: readonly Recipe[]): Promise<LayerId> {
  const stack = await context.stack('layer', ...recipes)
  return stack.at(-1) ?? stack[0]
}

/** An image of five layers with three dozen files and directories: small, so that a copying driver does not copy for minutes. */
const image: readonly Recipe[] = [manyFiles(20, 3), ...manyLayers(4)]

async function drain(tar: TarStream): Promise<void> {
  for await (const _ of tar);
}

/** Times what makes a layer on an image; the layer goes again. */
function creation(verb: 'create' | 'createReadWrite'): BenchCase['prepare'] {
  return async (context) => {
    const { driver } = context
    const parent = await topOf(context, ...image)
    return async ({ index, time }) => {
      const made = context.id(`made${index}`)
      await time(() => driver[verb](made, { parent }))
      await driver.remove(made)
    }
  }
}

const coming: readonly BenchCase[] = [
  {
    id: 'exists',
    title: 'exists, of a layer that does',
    rounds: 200,
    async prepare(context) {
      const layer = await context.layer('layer')
      return async ({ time }) => {
        await time(() => context.driver.exists(layer))
      }
    },
  },
  {
    id: 'get-empty',
    title: 'get of an empty layer that is not mounted; put is not timed',
    rounds: 100,
    async prepare(context) {
      const layer = await context.layer('layer')
      return async ({ time }) => {
        await using _ = await time(() => context.driver.get(layer))
      }
    },
  },
  {
    id: 'put',
    title: 'the only put of an empty layer; get is not timed',
    rounds: 100,
    async prepare(context) {
      const layer = await context.layer('layer')
      return async ({ time }) => {
        await context.driver.get(layer)
        await time(() => context.driver.put(layer))
      }
    },
  },
  {
    id: 'create',
    title: 'create of a layer on an image of five layers; remove is not timed',
    rounds: 100,
    prepare: creation('create'),
  },
  {
    id: 'create-read-write',
    title: 'createReadWrite of a layer on an image of five layers; remove is not timed',
    rounds: 100,
    prepare: creation('createReadWrite'),
  },
  {
    id: 'remove',
    title: 'remove of a layer with three files of its own on an image of five layers',
    rounds: 100,
    async prepare(context) {
      const parent = await topOf(context, ...image)
      return async ({ index, time }) => {
        const made = await context.writable(`made${index}`, parent, fewFiles(index))
        await time(() => context.driver.remove(made))
      }
    },
  },
]

/** @param from which layer is left out of the diff: none, as in Docker's own benchmark, or the one below */
function diffOf(bottom: number, top: number, from: 'nothing' | 'parent'): BenchCase {
  const big = Math.max(bottom, top) > 1000
  return {
    id: `diff-from-${from}-${bottom}-${top}`,
    title: `diff from ${from === 'nothing' ? 'nothing' : 'its parent'} of a layer with ${top} files on one with ${bottom}, read to its end`,
    rounds: big ? 5 : 20,
    parameters: () => ({ bottom, top }),
    ...(big ? { lacks: unlessFull } : {}),
    async prepare(context) {
      const [lower, upper] = await context.stack('layer', manyFiles(bottom, 3), manyFiles(top, 6, bottom))
      return async ({ time }) => {
        await time(() => drain(context.driver.diff(upper ?? lower, from === 'parent' ? lower : undefined)))
      }
    },
  }
}

function unlessFull({ scale }: BenchSettings): string | undefined {
  return scale === 'full' ? undefined : 'takes scale full'
}

const sizes: readonly (readonly [bottom: number, top: number])[] = [
  [10, 10],
  [10, 1000],
  [1000, 10],
  [10, 10_000],
  [10_000, 10],
]

const applied = 100
const changed = 10

const diffing: readonly BenchCase[] = [
  {
    id: 'diff-base',
    title: 'diff of a layer with three files and no parent, read to its end',
    rounds: 50,
    async prepare(context) {
      const layer = await context.layer('layer', undefined, fewFiles(3))
      return async ({ time }) => {
        await time(() => drain(context.driver.diff(layer, undefined)))
      }
    },
  },
  ...sizes.map(([bottom, top]) => diffOf(bottom, top, 'nothing')),
  ...sizes.map(([bottom, top]) => diffOf(bottom, top, 'parent')),
  {
    id: 'diff-apply',
    title: 'diff from nothing of a layer that rewrites all files of its parent, applied to a new layer',
    rounds: 20,
    parameters: () => ({ files: applied }),
    async prepare(context) {
      const { driver } = context
      const upper = await topOf(context, manyFiles(applied, 3), manyFiles(applied, 6, applied))
      return async ({ index, time }) => {
        const made = await context.layer(`made${index}`)
        await time(() => driver.applyDiff(made, undefined, driver.diff(upper, undefined)))
        await driver.remove(made)
      }
    },
  },
  {
    id: 'changes',
    title: 'changes of a layer that rewrites a few of many files of its parent',
    rounds: 50,
    parameters: () => ({ files: 1000, changed }),
    async prepare(context) {
      const [lower, upper] = await context.stack('layer', manyFiles(1000, 3), manyFiles(changed, 6, changed))
      return async ({ time }) => {
        await time(() => context.driver.changes(upper ?? lower, lower))
      }
    },
  },
]

const depth = 20

function unlessDeep({ maxDepth }: Capabilities): string | undefined {
  return maxDepth > depth ? undefined : `no stack of ${depth + 1} layers can be mounted`
}

function deepLayer(context: CaseContext): Promise<LayerId> {
  return topOf(context, [...fewFiles(50), file('testfile.txt', 'test content')], ...manyLayers(depth))
}

const deep: readonly BenchCase[] = [
  {
    id: 'deep-layer-diff',
    title: 'diff from nothing of the top of a deep stack, read to its end',
    rounds: 20,
    parameters: () => ({ depth }),
    needs: unlessDeep,
    async prepare(context) {
      const top = await deepLayer(context)
      return async ({ time }) => {
        await time(() => drain(context.driver.diff(top, undefined)))
      }
    },
  },
  {
    id: 'deep-layer-read',
    title: 'reading a file of the lowest layer through a deep stack that stays mounted',
    rounds: 200,
    parameters: () => ({ depth }),
    needs: unlessDeep,
    async prepare(context) {
      const { path: root } = await context.mount(await deepLayer(context))
      return async ({ time }) => {
        await time(async () => readFileSync(path.join(root, 'testfile.txt')))
      }
    },
  },
]

function layersOf({ scale }: BenchSettings): number {
  return scale === 'quick' ? 100 : 1000
}

const real: readonly BenchCase[] = [
  {
    id: 'apply-layer',
    title: 'applyDiff of a layer of real life to a new layer, from a plain tar on the same filesystem',
    rounds: 5,
    parameters: ({ layer }) => (layer === undefined ? {} : { layer: path.basename(layer) }),
    lacks: ({ layer }) => (layer === undefined ? 'takes the tar of a layer, as option layer' : undefined),
    async prepare(context, { layer = '' }) {
      const { driver } = context
      const tar = path.join(context.scratch('unpacked'), 'layer.tar')
      await unpackLayer(layer, tar)
      return async ({ index, time }) => {
        const made = await context.layer(`made${index}`)
        await time(() => driver.applyDiff(made, undefined, createReadStream(tar)))
        await driver.remove(made)
      }
    },
  },
  {
    id: 'writable-layers',
    title:
      'writable layers on one image: each made, mounted, written a small file to, unmounted; then all removed',
    rounds: 3,
    parameters: (settings) => ({ layers: layersOf(settings) }),
    each: 'layers',
    async prepare(context, settings) {
      const { driver } = context
      const parent = await topOf(context, ...image)
      return async ({ index, time }) => {
        const ids = Array.from({ length: layersOf(settings) }, (_, at) => context.id(`made${index}-${at}`))
        for (const id of ids) {
          await time(async () => {
            await driver.createReadWrite(id, { parent })
            await context.within(id, (root) => writeFileSync(path.join(root, 'own'), id))
          })
        }
        for (const id of ids) await time(() => driver.remove(id))
      }
    },
  },
]

export const benchCases: readonly BenchCase[] = [...coming, ...diffing, ...deep, ...real]
