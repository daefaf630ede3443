/**
 * A conformance case: one sentence about what a driver does, and the code that finds out. Cases are data; a test
 * runner, a plain loop or a report take them from the same list.
 */
import type { Capabilities } from '../capabilities.ts'
import type { DriverDefinition } from '../definition.ts'
import type { CaseContext } from './context.ts'
import type { Requirement } from './host/requirement.ts'

/** The chapters of the contract, in the order in which reports show them. */
export const areas = [
  'lifecycle',
  'mount',
  'tree',
  'diff',
  'apply',
  'changes',
  'sizes',
  'depth',
  'quota',
  'namespaces',
  'concurrency',
  'abort',
  'disposal',
  'restart',
  'reading',
  'errors',
  'leaks',
  'history',
  'generated',
  'differential',
] as const

export type Area = (typeof areas)[number]

/** `area/name`. It never changes: reports, deviations and mutants refer to it. */
export type CaseId = `${Area}/${string}`

export interface ConformanceCase {
  readonly id: CaseId
  /** One sentence about behaviour. */
  readonly title: string
  /** Where the behaviour was first missed: a ticket, a CVE, a test of another project. */
  readonly seen?: string
  /** Why the case means nothing to a driver of these capabilities; undefined when it applies. */
  readonly needs?: (capabilities: Capabilities, definition: DriverDefinition) => string | undefined
  /** What the host must have to run it. */
  readonly requires?: readonly Requirement[]
  /** Fails by throwing. Whatever it makes, it makes through the context. */
  readonly run: (context: CaseContext) => Promise<void>
}

/** A case without its area, as the files in cases/ write them. */
export type CaseBody = Omit<ConformanceCase, 'id'> & { readonly name: string }

/** The cases of one area. */
export function casesOf(area: Area, ...bodies: readonly CaseBody[]): readonly ConformanceCase[] {
  return bodies.map(({ name, ...rest }) => ({ id: `${area}/${name}`, ...rest }))
}

/** The area of a case. */
export function areaOf({ id }: { readonly id: string }): string {
  return id.slice(0, id.indexOf('/'))
}
