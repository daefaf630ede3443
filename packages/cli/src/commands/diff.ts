import type { TarStream } from '@graphdriver/core'
import { writeBytes } from '../byte-output.ts'
import type { Invocation } from '../invocation.ts'
import { imageNotFound } from '../not-found.ts'
import { formatBytes } from '../quantity.ts'
import { Session } from '../session.ts'
import type { Stores } from '../stores.ts'
import { findSubject } from '../subject.ts'

export interface DiffFlags {
  readonly output?: string
}

/**
 * `graphdriver diff IMAGE|NAME|LAYER`: as a tar, what was written to a writable layer; a layer as it was loaded, to
 * the byte; or a whole image in one.
 */
export async function diff(invocation: Invocation, word: string, flags: DiffFlags): Promise<void> {
  await using session = await Session.openExisting(invocation)
  if (session === undefined) throw imageNotFound(word)
  const { signal, settings, output } = invocation
  const bytes = await session.holding(async (stores) => {
    await using subject = await tarOf(word, stores, signal)
    return await writeBytes(subject.tar, flags.output, signal)
  })
  if (flags.output === undefined || flags.output === '-') return
  if (settings.json) output.result({ file: flags.output, bytes }, () => '')
  else invocation.log.info(`wrote ${formatBytes(bytes)} to ${flags.output}`)
}

async function tarOf(
  word: string,
  stores: Stores,
  signal: AbortSignal,
): Promise<{ readonly tar: TarStream } & AsyncDisposable> {
  const subject = await findSubject(word, stores)
  const nothing = { [Symbol.asyncDispose]: () => Promise.resolve() }
  if (subject.kind === 'writable') return { tar: subject.writable.diff({ signal }), ...nothing }
  const chainId = subject.kind === 'image' ? subject.image.chainId : subject.layer.chainId
  if (chainId === undefined) throw imageNotFound(word)
  const layer = await stores.layers.get(chainId)
  const tar = subject.kind === 'image' ? layer.tarFrom(undefined, { signal }) : layer.tar({ signal })
  return { tar, [Symbol.asyncDispose]: () => layer[Symbol.asyncDispose]() }
}
