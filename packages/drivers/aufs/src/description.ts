/** What is told of the driver, with Docker's words where it had any. */
import { readdirSync } from 'node:fs'
import type { StatusRow } from '@graphdriver/core'
import type { Engine } from './engine.ts'
import { homePaths } from './layout.ts'

/** The rows of `docker info`, and who does the mounting. */
export function describeHome(home: string, engine: Engine): readonly StatusRow[] {
  return [
    ['Root Dir', home],
    ['Backing Filesystem', engine.backing],
    ['Dirs', String(readdirSync(homePaths(home).records).length)],
    ...engine.status,
    ['Engine', engine.name],
  ]
}
