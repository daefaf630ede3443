import type { Invocation } from '../invocation.ts'
import { imageNotFound } from '../not-found.ts'
import { shortDigest } from '../quantity.ts'
import { Session } from '../session.ts'

/** `graphdriver tag IMAGE NAME…`: further names; one that another image has moves to this. */
export async function tag(invocation: Invocation, word: string, names: readonly string[]): Promise<void> {
  await using session = await Session.openExisting(invocation)
  if (session === undefined) throw imageNotFound(word)
  const id = await session.changing(async ({ images, references }) => {
    const image = await images.find(word, references)
    for (const name of names) await references.tag(name, image.id)
    return image.id
  })
  invocation.output.result({ id, names }, () => `${shortDigest(id)} is ${names.join(', ')}\n`)
}
