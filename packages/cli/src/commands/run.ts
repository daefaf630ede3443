import path from 'node:path'
import { type DriverOptions, GraphDriverError, type IdMap, type LayerId } from '@graphdriver/core'
import { type Image, writeBundle } from '@graphdriver/image'
import { dockerInitLayer } from '@graphdriver/layer-store'
import { inUserNamespace } from '@graphdriver/sys'
import { claim } from '../claim.ts'
import { writeContainerFiles } from '../container-files.ts'
import { ExitCodeError } from '../failure.ts'
import { getAs } from '../get-as.ts'
import { hostRootOf, idMapOf, type MapFlags } from '../id-maps.ts'
import { openWithImage } from '../image-or-file.ts'
import { Interrupted } from '../interruption.ts'
import type { Invocation } from '../invocation.ts'
import { chooseRuntime, type RuntimeName } from '../runtime/choose-runtime.ts'
import type { Container } from '../runtime/container-runtime.ts'
import { requireExecutable } from '../runtime/executable.ts'
import { namespaceMaps, requireMappedUser } from '../runtime/mapped-user.ts'
import { runPlace, showToMapped } from '../runtime/run-place.ts'
import type { Session } from '../session.ts'
import { supervise } from '../supervise.ts'
import { randomName } from '../writable-name.ts'

export interface RunFlags extends MapFlags {
  readonly name?: string
  readonly storageOpt?: DriverOptions
  readonly keep?: boolean
  readonly rm?: boolean
  readonly runtime?: RuntimeName
  readonly env?: readonly string[]
  readonly workdir?: string
  readonly user?: string
  readonly hostname?: string
  readonly readOnly?: boolean
}

/** `graphdriver run IMAGE|FILE [CMD…]`: returns the exit code of the process. */
export async function run(
  invocation: Invocation,
  word: string,
  command: readonly string[],
  flags: RunFlags,
): Promise<number> {
  try {
    const { session, image } = await openWithImage(word, invocation)
    await using _ = session
    return await runImage({ invocation, session, image, command, flags })
  } catch (error) {
    throw error instanceof ExitCodeError || error instanceof Interrupted
      ? error
      : new ExitCodeError(125, error)
  }
}

interface Run {
  readonly invocation: Invocation
  readonly session: Session
  readonly image: Image
  readonly command: readonly string[]
  readonly flags: RunFlags
}

async function runImage(run: Run): Promise<number> {
  const { invocation, session, flags } = run
  const name = flags.name ?? randomName()
  const keep = flags.rm !== true && (flags.keep === true || flags.name !== undefined)
  await using layer = await createLayer(run, name, keep)
  if (keep) invocation.log.info(`writable layer '${name}' stays`)
  const ids = idMapOf(flags)
  await using mount = await getAs(session.driver, layer.id, ids, { signal: invocation.signal })
  return await runOn(mount.path, name, run, ids)
}

/** A writable layer that goes when it is disposed, or is kept. */
async function createLayer(
  { invocation, session, image, flags }: Run,
  name: string,
  keep: boolean,
): Promise<{ readonly id: LayerId } & AsyncDisposable> {
  const { signal } = invocation
  const created = await session.changing(async ({ layers }) => {
    // A claim on a layer that is there already would doom it, were this process killed.
    if (layers.writableLayers().some((layer) => layer.name === name)) {
      const message = `writable layer '${name}' exists already; choose another name, or graphdriver rm ${name} first`
      throw new GraphDriverError('GD_NAME_CONFLICT', message, { name })
    }
    // Before the layer, so that whatever happens in between, the next command knows what to do with it.
    const claimed = await claim(session.root, name, keep ? 'keep' : 'remove')
    if (claimed === undefined) {
      const message = `writable layer '${name}' is in use by a running process; choose another name`
      throw new GraphDriverError('GD_NAME_CONFLICT', message, { name })
    }
    try {
      const layer = await layers.createRWLayer(name, image.chainId, {
        init: dockerInitLayer,
        storageOptions: flags.storageOpt,
        signal,
      })
      return { id: layer.mountId, claimed }
    } catch (error) {
      await claimed[Symbol.asyncDispose]()
      throw error
    }
  })
  return {
    id: created.id,
    [Symbol.asyncDispose]: async () => {
      if (!keep) await removeLayer(session, name)
      await created.claimed[Symbol.asyncDispose]()
    },
  }
}

async function removeLayer(session: Session, name: string): Promise<void> {
  await session.changing(
    async ({ layers }) => {
      await (await layers.getRWLayer(name)).release()
    },
    { always: true },
  )
}

async function runOn(
  rootfs: string,
  name: string,
  { invocation, image, command, flags }: Run,
  ids: IdMap | undefined,
): Promise<number> {
  const { log, settings, signal, interruption } = invocation
  await using scratch = await runPlace()
  const hostname = flags.hostname ?? (/^[a-f0-9]{12}$/.test(name) ? name : randomName())
  const bundle = scratch.path
  const spec = await writeBundle(bundle, {
    rootfs: ids === undefined ? rootfs : showToMapped(bundle, rootfs, ids),
    config: image.config,
    args: command,
    env: flags.env,
    cwd: flags.workdir,
    user: flags.user,
    hostname,
    readonly: flags.readOnly,
    terminal: process.stdin.isTTY && process.stdout.isTTY,
    mounts: await writeContainerFiles(bundle, hostname, ids && hostRootOf(ids)),
    rootless: ids === undefined ? inUserNamespace() : namespaceMaps(ids),
  })
  requireMappedUser(spec, ids)
  requireExecutable(spec)
  const container: Container = {
    id: `graphdriver-${randomName()}`,
    bundle,
    spec,
    state: path.join(bundle, 'state'),
  }
  const runtime = await chooseRuntime(container, { wanted: flags.runtime, root: settings.root, log })
  signal.throwIfAborted()
  return await supervise(await runtime.start(container), interruption)
}
