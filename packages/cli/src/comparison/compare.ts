/** Measures every driver that can serve at a place, one after the other. */
import { rm } from 'node:fs/promises'
import { isGraphDriverError, loadDriver, probeDriver, driverPriority } from '@graphdriver/core'
import { CommandError, filesystemName, isSystemError, makeScratch, statfs } from '@graphdriver/sys'
import { ofDriver } from '../driver-options.ts'
import type { Invocation } from '../invocation.ts'
import type { ComparedDriver } from './figures.ts'
import { measureDriver } from './measure.ts'
import type { SampleSize } from './sample-image.ts'

export interface ComparisonRequest {
  /** Exists; what is made there is gone afterwards. */
  readonly directory: string
  readonly size: SampleSize
  readonly containers: number
  /** Hears whose turn it is. */
  readonly onDriver?: (name: string) => void
}

export async function compareDrivers(
  { settings, signal }: Pick<Invocation, 'settings' | 'signal'>,
  { directory, size, containers, onDriver }: ComparisonRequest,
): Promise<readonly ComparedDriver[]> {
  const compared: ComparedDriver[] = []
  // Who is killed leaves what the next driver that is opened here takes for a probe's.
  using scratch = makeScratch(directory, 'probe', 0o700)
  try {
    for (const name of settings.driver === undefined ? driverPriority : [settings.driver]) {
      const options = ofDriver(settings.driverOptions, name)
      const definition = await usable(name, scratch.path, options)
      if (definition === undefined) continue
      signal.throwIfAborted()
      onDriver?.(definition.name)
      try {
        const request = { directory: scratch.path, options, size, containers, signal }
        compared.push(await measureDriver(definition, request))
      } catch (error) {
        if (!isGraphDriverError(error) && !isSystemError(error) && !(error instanceof CommandError))
          throw error
        const filesystem = filesystemName(statfs(directory).type)
        compared.push({ driver: definition.name, filesystem, failure: error.message })
      }
    }
  } finally {
    await rm(scratch.path, { recursive: true, force: true })
  }
  return compared
}

async function usable(
  name: string,
  root: string,
  options: Readonly<Record<string, string>>,
): Promise<Awaited<ReturnType<typeof loadDriver>> | undefined> {
  try {
    const definition = await loadDriver(name)
    return (await probeDriver(definition, { root, options })).supported ? definition : undefined
  } catch (error) {
    if (isGraphDriverError(error, 'GD_DRIVER_NOT_FOUND')) return undefined
    throw error
  }
}
