/** Each call of Windows fails in turn, in each operation: the operation fails, nothing is held, and it can be repeated. */
import assert from 'node:assert/strict'
import type { Driver } from '@graphdriver/core'
import { base, diffOf, directory, file, type HcsCase, type HcsContext, id, image, rejection } from './case.ts'

interface Operation {
  readonly name: string
  readonly run: (driver: Driver) => Promise<unknown>
  /** It is done, or nothing is; else `remove` clears the rest. */
  readonly isWhole?: boolean
  /** Brings back what it was before, however the operation ended. */
  readonly undo: (driver: Driver) => Promise<unknown>
}

const parent = { parent: id('base') }

const operations: readonly Operation[] = [
  {
    name: 'making an image layer',
    run: (driver) => image(driver, 'child', 'base', directory('Files'), file('Files/c', 'c')),
    undo: (driver) => driver.remove(id('child')),
  },
  {
    name: 'making a base layer',
    run: (driver) => image(driver, 'other', undefined, ...base),
    undo: (driver) => driver.remove(id('other')),
  },
  {
    name: 'making a container’s layer',
    isWhole: true,
    run: (driver) => driver.createReadWrite(id('new'), { ...parent, storageOptions: { size: '30G' } }),
    undo: (driver) => driver.remove(id('new')),
  },
  {
    name: 'showing a layer',
    run: (driver) => driver.get(id('container')),
    undo: (driver) => driver.put(id('container')),
  },
  {
    name: 'exporting a layer',
    run: (driver) => diffOf(driver, 'container', 'base'),
    undo: async () => undefined,
  },
  {
    name: 'removing a layer',
    async run(driver) {
      await driver.createReadWrite(id('new'), parent)
      await driver.remove(id('new'))
    },
    undo: (driver) => driver.remove(id('new')),
  },
]

/** ERROR_GEN_FAILURE: a device does not work. */
const failure = '8007001f'

const lettingGo: ReadonlySet<string> = new Set([
  'UnprepareLayer',
  'DeactivateLayer',
  'HcsDetachLayerStorageFilter',
  'DetachVirtualDisk',
])

async function failsEachCall(context: HcsContext, { run, undo, isWhole }: Operation): Promise<void> {
  const driver = await context.open()
  await image(driver, 'base', undefined, ...base)
  await driver.createReadWrite(id('container'), parent)
  const before = context.calls()
  await run(driver)
  const made = new Set(context.callsAfter(before))
  await undo(driver)
  const folders = context.folders()
  assert(made.size > 0)
  for (const call of made) {
    const error = await context.failing(`${call}=${failure}`, () => rejection(run(driver)))
    assert.equal(error.code, 'WIN32_31', `${call}: ${String(error)}`)
    assert.equal(error.syscall, call)
    // What could not be let go of is let go of when it is repeated.
    if (!lettingGo.has(call)) assert.deepEqual(context.held(), [], `after ${call}`)
    if (isWhole) assert.deepEqual(context.folders(), folders, `after ${call}`)
    await undo(driver)
    assert.deepEqual(context.folders(), folders, `after ${call}`)
    await run(driver)
    await undo(driver)
    assert.deepEqual(context.held(), [], `repeated after ${call}`)
  }
}

export const failureCases: readonly HcsCase[] = operations.map((operation) => ({
  name: `${operation.name} when any of its calls fails`,
  run: (context) => failsEachCall(context, operation),
}))
