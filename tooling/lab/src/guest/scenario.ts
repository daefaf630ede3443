/** In a guest: programs that show one thing each, by its name, and the words they have in common. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { type Driver, isGraphDriverError, type LayerId, type StatusRow } from '@graphdriver/core'
import { id, makeLayer } from '../workbench.ts'

export { id } from '../workbench.ts'

export type Scenarios = Readonly<Record<string, () => Promise<void>>>

/** Runs the one that the command line names; ends with 0 when what it says is so. */
export async function runScenario(scenarios: Scenarios): Promise<never> {
  const [name = ''] = process.argv.slice(2)
  // Of pools in files.
  process.removeAllListeners('warning')
  const scenario = scenarios[name]
  assert(scenario !== undefined, `no scenario ${name}`)
  await scenario()
  process.exit(0)
}

/** Makes a layer with a file of its own name. */
export function makeNamed(driver: Driver, name: string, parent?: string): Promise<LayerId> {
  return makeLayer(driver, name, parent, (root) => writeFileSync(path.join(root, name), name))
}

export async function write(
  driver: Driver,
  layer: string,
  file: string,
  content: string | Buffer,
): Promise<void> {
  await using mount = await driver.get(id(layer))
  writeFileSync(path.join(mount.path, file), content)
}

/** A file of a layer; by default that of its own name. */
export async function read(driver: Driver, layer: string, file = layer): Promise<string> {
  await using mount = await driver.get(id(layer))
  return readFileSync(path.join(mount.path, file), 'utf8')
}

/** For assert.rejects: an error of ours, with a code and perhaps a reason. */
export function code(expected: string, reason?: string): (error: unknown) => boolean {
  return (error) => {
    assert(isGraphDriverError(error), String(error))
    assert.equal(error.code, expected, String(error))
    if (reason !== undefined) assert.equal((error.details as { readonly reason?: string }).reason, reason)
    return true
  }
}

/** What a driver's status says under a key; nothing where it has none. */
export function rowOf(rows: readonly StatusRow[], key: string): string {
  return rows.find(([name]) => name === key)?.[1] ?? ''
}
