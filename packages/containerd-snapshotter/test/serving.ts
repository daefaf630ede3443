/** A snapshotter in a process of its own, to be killed or kept waiting: `node serving.ts '{"driver":…,"root":…,"socket":…}'`. */
import { loadDriver, resolveDriver } from '@graphdriver/core'
import type { SnapshotterOptions } from '../src/index.ts'
import { serveSnapshotter } from '../dist/index.js'

type Order = Pick<SnapshotterOptions, 'root' | 'socket' | 'budget'> & { readonly driver: string }

const { driver, ...options } = JSON.parse(process.argv[2] ?? '') as Order
const from = import.meta.url
const definition = await loadDriver(driver, { from })
await serveSnapshotter({ ...options, definition, module: resolveDriver(driver, { from }) })
process.stdout.write('serves\n')
