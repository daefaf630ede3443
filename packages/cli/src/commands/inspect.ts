import type { Invocation } from '../invocation.ts'
import { imageNotFound } from '../not-found.ts'
import { Session } from '../session.ts'
import type { Stores } from '../stores.ts'
import { findSubject, stackOf } from '../subject.ts'

/** `graphdriver inspect REF`: all that is known, always as JSON. */
export async function inspect(invocation: Invocation, word: string): Promise<void> {
  await using session = await Session.openExisting(invocation)
  if (session === undefined) throw imageNotFound(word)
  const found = await session.reading((stores) => describe(word, stores))
  invocation.output.result(found, () => `${JSON.stringify(found, undefined, 2)}\n`)
}

async function describe(word: string, stores: Stores): Promise<object> {
  const subject = await findSubject(word, stores)
  if (subject.kind === 'writable') {
    const { name, parent, mountId, initId } = subject.writable
    const metadata = await subject.writable.metadata()
    return { kind: 'writable', name, parent, mountId, initId, driver: stores.layers.driver.name, metadata }
  }
  if (subject.kind === 'layer') {
    await using layer = await stores.layers.get(subject.layer.chainId)
    const metadata = await layer.metadata()
    return { kind: 'layer', ...subject.layer, driver: stores.layers.driver.name, metadata }
  }
  const { image } = subject
  const layers = stackOf(image.chainId, stores.layers.layers())
  return { kind: 'image', ...image, names: stores.references.namesOf(image.id), layers }
}
