/**
 * Finds driver packages by name. There is no registry to sign up to: a driver is found because it is installed.
 *
 * `loadDriver('x')` tries `@graphdriver/x`, then `graphdriver-x`; a path or any other specifier with a `/`, `.` or
 * `@` is imported as it is. Resolution starts from the importing program, not from this package, so that a program
 * finds the drivers installed beside it.
 */
import { createRequire } from 'node:module'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { type DriverDefinition, driverApiVersion, isDriverDefinition } from './definition.ts'
import { GraphDriverError } from './error.ts'

export interface DiscoveryOptions {
  /** File or `file:` URL whose `node_modules` are searched; by default the main program, then this package. */
  readonly from?: string | URL | undefined
}

const plainName = /^[a-z][a-z0-9-]*$/

function specifiersOf(name: string): readonly string[] {
  return plainName.test(name) ? [`@graphdriver/${name}`, `graphdriver-${name}`] : [name]
}

function resolvers(from: string | URL | undefined): readonly NodeJS.RequireResolve[] {
  const main = process.argv[1]
  const starts = from === undefined ? [...(main === undefined ? [] : [main]), import.meta.url] : [from]
  return starts.map((start) => createRequire(start).resolve)
}

function resolveFirst(specifier: string, resolve: readonly NodeJS.RequireResolve[]): string | undefined {
  for (const attempt of resolve) {
    try {
      return attempt(specifier)
    } catch (error) {
      if (!(error instanceof Error && 'code' in error)) throw error
      if (error.code === 'MODULE_NOT_FOUND') continue
      throw new GraphDriverError(
        'GD_DRIVER_INVALID',
        `driver package ${specifier} is installed but does not resolve; its exports need a "default" condition`,
        { specifier },
        { cause: error },
      )
    }
  }
  return undefined
}

/** Where a driver is, under the name by which it was found. */
interface Found {
  readonly specifier: string
  readonly url: URL
}

/**
 * Imports a driver's definition by name, path or package specifier.
 *
 * @throws GD_DRIVER_NOT_FOUND, GD_DRIVER_INVALID
 */
export async function loadDriver(name: string, options: DiscoveryOptions = {}): Promise<DriverDefinition> {
  return importDefinition(findDriver(name, options))
}

/**
 * The `file:` URL of what `loadDriver` would import, for another process to import it too.
 *
 * @throws GD_DRIVER_NOT_FOUND, GD_DRIVER_INVALID
 */
export function resolveDriver(name: string, options: DiscoveryOptions = {}): URL {
  return findDriver(name, options).url
}

function findDriver(name: string, options: DiscoveryOptions): Found {
  const tried = specifiersOf(name)
  const resolve = resolvers(options.from)
  for (const specifier of tried) {
    const file = path.isAbsolute(specifier) ? specifier : resolveFirst(specifier, resolve)
    if (file !== undefined) return { specifier, url: pathToFileURL(file) }
  }
  throw new GraphDriverError(
    'GD_DRIVER_NOT_FOUND',
    `driver '${name}' is not installed; npm install ${tried[0] ?? name}`,
    { name, tried },
  )
}

async function importDefinition({ specifier, url }: Found): Promise<DriverDefinition> {
  let found: unknown
  try {
    const module: Readonly<Record<string, unknown>> = await import(url.href)
    found = module['default']
  } catch (cause) {
    throw new GraphDriverError(
      'GD_DRIVER_INVALID',
      `driver package ${specifier} failed to load`,
      { specifier },
      { cause },
    )
  }
  if (isDriverDefinition(found)) return found
  throw new GraphDriverError(
    'GD_DRIVER_INVALID',
    `${specifier} does not export a driver definition of API version ${driverApiVersion} by default`,
    { specifier },
  )
}
