import type { DriverDefinition, DriverOptions } from '../definition.ts'
import type { CaseId } from './case.ts'
import type { Lab } from './lab.ts'

/** What is examined: a driver, where, and what is known of it beforehand. */
export interface Subject {
  readonly definition: DriverDefinition
  readonly lab: Lab
  /** The driver's name in reports, where one definition is examined in several ways. */
  readonly name: string
  readonly options: DriverOptions
  /**
   * What another process imports to have the driver: a `file:` URL or a package specifier that resolves there. Without
   * it the cases that kill a process cannot run.
   */
  readonly module: string | undefined
  /** Cases that the driver is known to fail, each with the reason. They run all the same, and must fail. */
  readonly deviations: Readonly<Partial<Record<CaseId, string>>>
}

/** With what options a subject's driver is opened at a data root. */
export async function optionsAt({ options, lab }: Subject, root: string): Promise<DriverOptions> {
  return { ...options, ...(await lab.optionsAt?.(root)) }
}

/** What a caller of an adapter may say. */
export interface SubjectOptions {
  /** By default directories in the system's temporary directory. */
  readonly lab?: Lab | undefined
  readonly name?: string | undefined
  readonly options?: DriverOptions | undefined
  readonly module?: string | URL | undefined
  readonly deviations?: Subject['deviations'] | undefined
}
