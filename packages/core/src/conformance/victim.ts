/**
 * A process to be killed. It opens a driver on a root and does what its scenario says, without end where that has
 * none; on standard output it tells each step before it takes it, and what is done after.
 *
 * ```
 * node victim.js '{"module":"file:///…","root":"/…","options":{},"scenario":"layers"}'
 * ```
 */
import { readdirSync, writeSync } from 'node:fs'
import { type DriverDefinition, isDriverDefinition } from '../definition.ts'
import type { Driver, TarStream } from '../driver.ts'
import { type LayerId, parseLayerId } from '../id.ts'
import { hostOf } from '../selection.ts'
import { perform } from './recipe/perform.ts'
import { appliedTar, type Order, recipeOf, type Scenario, type Word } from './victim-order.ts'

function say(word: Word, about: string): void {
  writeSync(1, `${word} ${about}\n`)
}

async function makeLayer(driver: Driver, number: number): Promise<LayerId> {
  const id = parseLayerId(`layer${number}`)
  const parent = number % 2 === 0 ? undefined : parseLayerId(`layer${number - 1}`)
  say('step', `create ${id}`)
  await driver.create(id, { parent })
  {
    await using mount = await driver.get(id)
    say('step', `write ${id}`)
    await perform(mount.path, recipeOf(number), number % 2)
  }
  say('whole', id)
  return id
}

async function removeLayer(driver: Driver, id: LayerId): Promise<void> {
  say('step', `remove ${id}`)
  await driver.remove(id)
  say('gone', id)
}

async function churn(driver: Driver): Promise<void> {
  for (let number = 0; ; number += 2) {
    const base = await makeLayer(driver, number)
    const top = await makeLayer(driver, number + 1)
    say('step', `mount ${top}`)
    // Stays mounted, as by a runtime that was killed.
    const mount = await driver.get(top)
    readdirSync(mount.path)
    if (number % 4 === 0) continue
    await removeLayer(driver, top)
    await removeLayer(driver, base)
  }
}

async function fill(driver: Driver): Promise<void> {
  const [target, parent] = [parseLayerId('target'), parseLayerId('base')]
  await driver.create(target, { parent })
  async function* told(): TarStream {
    for (const chunk of appliedTar()) {
      say('step', 'chunk')
      yield chunk
    }
  }
  await driver.applyDiff(target, parent, told())
  say('whole', target)
}

/** What is killed must not end by itself before. */
function linger(): Promise<never> {
  setInterval(() => undefined, 1_000_000)
  return new Promise(() => undefined)
}

async function load(specifier: string): Promise<DriverDefinition> {
  const loaded: unknown = await import(specifier)
  if (
    typeof loaded === 'object' &&
    loaded !== null &&
    'default' in loaded &&
    isDriverDefinition(loaded.default)
  )
    return loaded.default
  throw new Error(`${specifier} has no driver definition as its default export`)
}

const scenarios: Readonly<Record<Scenario, (driver: Driver) => Promise<void>>> = {
  layers: churn,
  apply: fill,
  remove: (driver) => removeLayer(driver, parseLayerId('target')),
}

/** Never returns. */
async function obey({ module, root, options, scenario }: Order): Promise<void> {
  const definition = await load(module)
  const driver = await definition.open(hostOf(definition, { root, options }))
  await scenarios[scenario](driver)
  await linger()
}

const [, , order = ''] = process.argv
await obey(JSON.parse(order))
