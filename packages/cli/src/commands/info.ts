import { type Capabilities, priorState, selectDriver, type Refusal, type StatusRow } from '@graphdriver/core'
import { idMaps } from '@graphdriver/sys'
import type { Invocation } from '../invocation.ts'
import { findRuntime, runtimeNames } from '../runtime/choose-runtime.ts'
import { requirePrivileges, requireReadable, Session } from '../session.ts'
import { pairs } from '../table.ts'
import { isReentered } from '../user-namespace.ts'
import { readVersion } from '../version.ts'

interface Info {
  readonly version: string
  readonly root: string
  readonly driver: string
  readonly why: string
  readonly notes: readonly string[]
  readonly refusals: readonly Refusal[]
  readonly rootless: boolean
  /** How many user ids there are for the files of images. */
  readonly ids: number
  readonly runtimes: Readonly<Record<string, string>>
  readonly contents: Contents | undefined
}

interface Contents {
  readonly images: number
  readonly layers: number
  readonly writable: readonly string[]
  readonly status: readonly StatusRow[]
  readonly capabilities: Capabilities
}

/** `graphdriver info`: the root, which driver serves it and why, what is in it. */
export async function info(invocation: Invocation): Promise<void> {
  const found = await examine(invocation)
  invocation.output.result(found, () => pairs(rows(found)))
}

async function examine(invocation: Invocation): Promise<Info> {
  await requirePrivileges(invocation)
  const { root, driver, driverOptions, readOnly } = invocation.settings
  await requireReadable(root)
  const empty = (await priorState(root)).length === 0
  await using session = empty ? undefined : await Session.open(invocation)
  const { definition, why, notes, refusals } =
    session?.selection ?? (await selectDriver({ root, driver, options: driverOptions, readOnly }))
  return {
    version: readVersion(),
    root,
    driver: definition.name,
    why,
    notes,
    refusals,
    rootless: isReentered(),
    ids: idMaps().uids.reduce((sum, { count }) => sum + count, 0),
    runtimes: installedRuntimes(),
    contents: await session?.reading(async ({ images, layers }) => ({
      images: images.list().length,
      layers: layers.layers().length,
      writable: layers.writableLayers().map(({ name }) => name),
      status: await layers.driver.status(),
      capabilities: layers.driver.capabilities,
    })),
  }
}

function installedRuntimes(): Readonly<Record<string, string>> {
  const found = runtimeNames.map((name) => [name, findRuntime(name)?.command] as const)
  return Object.fromEntries(
    found.flatMap(([name, command]) => (command === undefined ? [] : [[name, command]])),
  )
}

function rows({ contents, ...info }: Info): readonly (readonly [string, string])[] {
  return [
    ['version', info.version],
    ['root', info.root],
    ['driver', `${info.driver} (${info.why})`],
    ...info.notes.map((note): [string, string] => ['  note', note]),
    ...info.refusals.map(({ driver, reason }): [string, string] => [`not ${driver}`, reason]),
    ...(contents?.status ?? []).map(([key, value]): [string, string] => [`  ${key}`, value]),
    ['user', info.rootless ? `in a user namespace with ${info.ids} ids` : 'root'],
    ['runtimes', Object.keys(info.runtimes).join(', ')],
    ['images', String(contents?.images ?? 0)],
    ['layers', String(contents?.layers ?? 0)],
    ['writable layers', contents?.writable.join(', ') || 'none'],
  ]
}
