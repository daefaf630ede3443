import path from 'node:path'
import { serveSnapshotter } from '@graphdriver/containerd-snapshotter'
import { resolveDriver, selectDriver } from '@graphdriver/core'
import { describeFailure } from '../failure.ts'
import type { Invocation } from '../invocation.ts'
import { requireServing, untilEnded } from '../serving.ts'

export interface ContainerdSnapshotterFlags {
  readonly socket?: string
  /** Seconds. */
  readonly budget?: number
}

/**
 * `graphdriver containerd-snapshotter`: serves a driver to containerd until it is told to end. Its layers are its own,
 * in `containerd/` under the data root, apart from the images that other commands load.
 */
export async function containerdSnapshotter(
  invocation: Invocation,
  flags: ContainerdSnapshotterFlags,
): Promise<void> {
  const { settings, log, output, signal } = invocation
  requireServing(invocation, 'containerd-snapshotter', 'containerd')
  const root = path.join(settings.root, 'containerd')
  const { driver, driverOptions } = settings
  const { definition } = await selectDriver({ root, driver, options: driverOptions })
  const { socket = `/run/graphdriver/containerd-${definition.name}.sock` } = flags
  const onFailure = (what: string, error: unknown): void =>
    log.warn(`${what}: ${describeFailure(error, settings).message}`)
  await using _ = await serveSnapshotter({
    definition,
    module: resolveDriver(driver ?? definition.name),
    driverOptions,
    root,
    socket,
    onFailure,
    budget: flags.budget === undefined ? undefined : { milliseconds: flags.budget * 1000 },
  })
  output.result(
    { driver: definition.name, root, socket },
    () => `${definition.name} is served at ${socket}\n`,
  )
  await untilEnded(signal)
}
