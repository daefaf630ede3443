import { leftBehind, priorState } from '@graphdriver/core'
import { nearestDirectory } from '@graphdriver/sys'
import { compareDrivers } from '../comparison/compare.ts'
import { type ComparedDriver, isMeasured } from '../comparison/figures.ts'
import { type Recommendation, recommend } from '../comparison/recommend.ts'
import { comparisonText } from '../comparison/text.ts'
import type { Fact } from '../doctor/fact.ts'
import { hostFacts } from '../doctor/host-facts.ts'
import { placeFacts } from '../doctor/place-facts.ts'
import type { Invocation } from '../invocation.ts'
import { requirePrivileges } from '../session.ts'
import { table } from '../table.ts'
import { driverRow, type ListedDriver, probeDrivers } from './drivers.ts'

export interface DoctorFlags {
  readonly measure?: boolean
}

interface Diagnosis {
  readonly root: string
  readonly host: readonly Fact[]
  readonly place: readonly Fact[]
  readonly drivers: readonly (ListedDriver & { readonly sharesMemory: boolean | undefined })[]
  /** Drivers that have something at the root. */
  readonly holds: readonly string[]
  /** Drivers of which all was moved to another, and is kept. */
  readonly leftBehind: Readonly<Record<string, string>>
  readonly measured: readonly ComparedDriver[] | undefined
  readonly recommendation: Recommendation | undefined
}

/** Whose containers read the files of their image from one page cache: those that show the lower layers' own files. */
const sharing: ReadonlySet<string> = new Set(['overlay2', 'overlay', 'aufs'])

/** With `--measure`: some seconds for each driver. */
const size = { files: 1000, fileBytes: 4096, sharedBytes: 8 * 1024 * 1024 }
const containers = 16

/** `graphdriver doctor [--measure]`: what this host can do, and what would help. 1 where no driver can serve. */
export async function doctor(invocation: Invocation, { measure = false }: DoctorFlags): Promise<number> {
  const { settings, output, log } = invocation
  const { root } = settings
  const refusal = await whyUnprivileged(invocation)
  const drivers = (await probeDrivers(invocation)).map((driver) => ({
    ...driver,
    sharesMemory: driver.probe.supported ? sharing.has(driver.name) : undefined,
  }))
  const measured = measure
    ? await compareDrivers(invocation, {
        directory: nearestDirectory(root),
        size,
        containers,
        onDriver: (name) => log.info(`measuring ${name}`),
      })
    : undefined
  const diagnosis: Diagnosis = {
    root,
    host: hostFacts(refusal),
    place: await placeFacts(root),
    drivers,
    holds: await priorState(root),
    leftBehind: await leftBehind(root),
    measured,
    recommendation: measured === undefined ? undefined : recommend(measured.filter(isMeasured)),
  }
  output.result(diagnosis, () => textOf(diagnosis))
  return drivers.some(({ probe }) => probe.supported) ? 0 : 1
}

/** An ordinary user goes on in a user namespace; who can have none is told all the same. */
async function whyUnprivileged(invocation: Invocation): Promise<string | undefined> {
  try {
    await requirePrivileges(invocation)
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

function textOf(diagnosis: Diagnosis): string {
  const { root, host, place, drivers, measured, recommendation } = diagnosis
  const usable = drivers.filter(({ probe }) => probe.supported)
  const sections = [
    `HOST\n${facts(host)}`,
    `DATA ROOT ${root}\n${facts(place)}${contents(diagnosis)}`,
    `DRIVERS\n${table(['DRIVER', 'SERVES', 'ONE CACHE', 'WHY'], drivers.map(row))}`,
    ...(measured === undefined
      ? []
      : [`MEASURED, ${containers} containers of one image\n${comparisonText(measured)}`]),
    recommendation === undefined
      ? verdict(usable.map(({ name }) => name))
      : `take ${recommendation.driver}:\n${recommendation.reasons.map((reason) => `  ${reason}\n`).join('')}`,
  ]
  return sections.join('\n')
}

function facts(found: readonly Fact[]): string {
  const lines = found.map(({ title, answer, detail, remedy }) => {
    const why = [detail, remedy].filter((part) => part !== undefined).join('; ')
    return `  ${answer.padEnd(3)}  ${title}${why === '' ? '' : `: ${why}`}\n`
  })
  return lines.join('')
}

function contents({ holds, leftBehind: behind }: Diagnosis): string {
  const lines = holds.map((name) => `  it holds what ${name} stores\n`)
  if (holds.length > 1)
    lines.push(`  of several drivers one counts: move the others' with graphdriver migrate --from A --to B\n`)
  for (const [from, to] of Object.entries(behind).filter(([, name]) => name !== ''))
    lines.push(`  what ${from} stored was moved to ${to}, and is kept until: graphdriver migrate --finish\n`)
  return lines.join('')
}

function row(driver: Diagnosis['drivers'][number]): readonly string[] {
  const [name = '', serves = '', why = ''] = driverRow(driver)
  const { sharesMemory } = driver
  return [name, serves, sharesMemory === undefined ? '' : sharesMemory ? 'yes' : 'no', why]
}

function verdict(usable: readonly string[]): string {
  const [first] = usable
  return first === undefined
    ? 'no driver can serve here; see above what each needs\n'
    : `${first} is taken here where nothing else is said; graphdriver doctor --measure tells what suits best\n`
}
