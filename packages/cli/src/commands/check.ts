import type { ChainId } from '@graphdriver/core'
import type { ContentCheckProgress, Finding } from '@graphdriver/layer-store'
import type { Invocation } from '../invocation.ts'
import { imageNotFound } from '../not-found.ts'
import { openProgress } from '../progress.ts'
import { formatBytes, plural, shortDigest } from '../quantity.ts'
import { Session } from '../session.ts'
import type { Stores } from '../stores.ts'
import { findSubject, stackOf } from '../subject.ts'

export interface CheckFlags {
  readonly full?: boolean
  /** Bytes a second. */
  readonly rate?: number
}

interface Checked {
  readonly layers: number
  readonly writable: number
  /** Bytes of files that were read. */
  readonly bytes: number
  readonly findings: readonly Finding[]
}

const nothing: Checked = { layers: 0, writable: 0, bytes: 0, findings: [] }

/** `graphdriver check [IMAGE|LAYER…]`. @returns the exit code: 1 when something is damaged */
export async function check(
  invocation: Invocation,
  words: readonly string[],
  flags: CheckFlags,
): Promise<number> {
  await using session = await Session.openExisting(invocation)
  if (session === undefined && words[0] !== undefined) throw imageNotFound(words[0])
  const checked = session === undefined ? nothing : await examine(session, invocation, words, flags)
  invocation.output.result({ driver: session?.driver.name, ...checked }, () => textOf(checked, flags))
  return damageIn(checked.findings) === 0 ? 0 : 1
}

async function examine(
  session: Session,
  invocation: Invocation,
  words: readonly string[],
  flags: CheckFlags,
): Promise<Checked> {
  const { signal } = invocation
  // Nobody adds or removes records meanwhile, which is over soon; contents are read for long, and keep nobody out.
  const quick = await session.holding(async (stores) => ({
    chosen: words.length === 0 ? undefined : await chainsOf(words, stores),
    layers: stores.layers.layers().length,
    writable: stores.layers.writableLayers().length,
    findings: [...(await Array.fromAsync(stores.layers.checkRecords({ signal }))), ...ofImages(stores)],
  }))
  const { chosen, layers, writable } = quick
  const findings = chosen === undefined ? quick.findings : concerning(chosen, quick.findings)
  const whole = {
    layers: chosen?.length ?? layers,
    writable: chosen === undefined ? writable : 0,
    bytes: 0,
    findings,
  }
  if (flags.full !== true) return whole
  return await session.reading((stores) => examineContents(stores, invocation, whole, chosen, flags))
}

async function examineContents(
  stores: Stores,
  { settings, signal }: Invocation,
  whole: Checked,
  chosen: readonly ChainId[] | undefined,
  { rate }: CheckFlags,
): Promise<Checked> {
  using progress = await openProgress(settings.progress)
  let bytes = 0
  const onProgress = ({ layer, bytes: read, done }: ContentCheckProgress): void => {
    const label = shortDigest(layer.chainId)
    progress.start(layer.chainId, label, layer.diffSize)
    if (done) bytes += read
    if (done) progress.finish(layer.chainId, label, `${formatBytes(read)} read`)
    else progress.advance(layer.chainId, read)
  }
  const options = { layers: chosen, bytesPerSecond: rate, signal, onProgress }
  const found = await Array.fromAsync(stores.layers.checkContents(options))
  return { ...whole, bytes, findings: [...whole.findings, ...found] }
}

async function chainsOf(words: readonly string[], stores: Stores): Promise<readonly ChainId[]> {
  const chains = new Set<ChainId>()
  for (const word of words) {
    const subject = await findSubject(word, stores)
    if (subject.kind === 'layer') chains.add(subject.layer.chainId)
    else {
      const top = subject.kind === 'image' ? subject.image.chainId : subject.writable.parent
      for (const { chainId } of stackOf(top, stores.layers.layers())) chains.add(chainId)
    }
  }
  return [...chains]
}

function concerning(chains: readonly ChainId[], findings: readonly Finding[]): readonly Finding[] {
  return findings.filter(({ layer }) => layer !== undefined && chains.includes(layer))
}

function damageIn(findings: readonly Finding[]): number {
  return findings.filter(({ kind }) => kind === 'damage').length
}

/** Images whose files cannot be used, and names of images that are not there. */
function ofImages({ images, references }: Stores): readonly Finding[] {
  const known = new Set<string>(images.list().map(({ id }) => id))
  return [
    ...images.skipped.map(({ path: file, reason }) => ({
      kind: 'damage' as const,
      object: 'image',
      file,
      expected: 'the config of an image whose layers are there',
      found: reason,
      remedy: 'load the image again',
    })),
    ...references
      .list()
      .filter(({ id }) => !known.has(id))
      .map(({ name, id }) => ({
        kind: 'damage' as const,
        object: `name ${name}`,
        expected: `image ${id}`,
        found: 'nothing',
        remedy: `load the image again, or give the name up: graphdriver rmi ${name}`,
      })),
  ]
}

function textOf({ layers, writable, bytes, findings }: Checked, { full }: CheckFlags): string {
  const what = [plural(layers, 'layer'), ...(writable > 0 ? [plural(writable, 'writable layer')] : [])].join(
    ', ',
  )
  const read = full === true ? `, ${formatBytes(bytes)} read` : ''
  const damaged = damageIn(findings)
  const left = findings.length - damaged
  const ends = [
    damaged === 0 ? 'nothing is damaged' : `${damaged} damaged`,
    ...(left > 0 ? [`${left} left over`] : []),
  ]
  return `${findings.map(line).join('')}checked ${what}${read}: ${ends.join(', ')}\n`
}

function line({ kind, object, file, expected, found, remedy }: Finding): string {
  const place = file === undefined ? '' : ` ${file}`
  const what = kind === 'damage' ? `expected ${expected}, found ${found}` : found
  return `${kind}: ${object}:${place} ${what}; ${remedy}\n`
}
