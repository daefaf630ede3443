import { stat } from 'node:fs/promises'
import { GraphDriverError } from '@graphdriver/core'
import type { Image } from '@graphdriver/image'
import { loadSource, openSources } from './image-loading.ts'
import type { Invocation } from './invocation.ts'
import { Resources } from './resources.ts'
import { imageNotFound } from './not-found.ts'
import { requirePrivileges, Session } from './session.ts'
import { findImage } from './subject.ts'

/** An open session, and the image that a word on the command line means. */
export interface SessionWithImage {
  readonly session: Session
  readonly image: Image
}

/**
 * Opens a session with the image of this name or, if there is none, with the one in the file of this name, which is
 * loaded first. Where there is neither, nothing is made.
 */
export async function openWithImage(word: string, invocation: Invocation): Promise<SessionWithImage> {
  await requirePrivileges(invocation)
  await using open = new Resources()
  const existing = await Session.openExisting(invocation)
  if (existing !== undefined) {
    open.use(existing)
    const image = await existing.reading((stores) => findImage(word, stores))
    if (image !== undefined) {
      open.move()
      return { session: existing, image }
    }
  }
  if (!(await isThere(word))) throw imageNotFound(word)
  await using opened = await openSources([word], invocation)
  const session = existing ?? open.use(await Session.open(invocation))
  const image = await loadOnly(word, opened, session, invocation)
  open.move()
  return { session, image }
}

async function loadOnly(
  file: string,
  { sources }: Awaited<ReturnType<typeof openSources>>,
  session: Session,
  invocation: Invocation,
): Promise<Image> {
  const found = (await Promise.all(sources.map((source) => source.images()))).flat()
  if (found.length > 1) {
    const ids = found.map(({ id }) => id)
    const names = found.map(({ id, names: [name] }) => name ?? id).join(', ')
    const message = `'${file}' has several images (${names}); graphdriver load it, then name one`
    throw new GraphDriverError('GD_IMAGE_AMBIGUOUS', message, { reference: file, ids })
  }
  const [wanted] = found
  if (wanted === undefined) throw imageNotFound(file)
  const present = await session.reading((stores) => findImage(wanted.id, stores))
  if (present !== undefined) return present
  for (const source of sources) await loadSource(source, session, invocation)
  return session.reading((stores) => stores.images.get(wanted.id))
}

async function isThere(file: string): Promise<boolean> {
  try {
    await stat(file)
    return true
  } catch {
    return false
  }
}
