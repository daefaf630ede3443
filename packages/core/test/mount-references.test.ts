import { expect, it } from 'vitest'
import { MountReferences } from '../src/index.ts'

function recorder(mounted = false) {
  const events: string[] = []
  const references = new MountReferences(() => mounted)
  return {
    events,
    references,
    acquire: () => references.acquire('/m', () => void events.push('mount')),
    release: () => references.release('/m', () => void events.push('unmount')),
  }
}

it('mounts for the first and unmounts for the last', async () => {
  const { events, references, acquire, release } = recorder()
  await acquire()
  await acquire()
  await release()
  expect(events).toEqual(['mount'])
  expect(references.count('/m')).toBe(1)
  await release()
  expect(events).toEqual(['mount', 'unmount'])
  expect(references.count('/m')).toBe(0)
})

it('mounts once for many at the same time', async () => {
  const { events, acquire, release } = recorder()
  await Promise.all(Array.from({ length: 50 }, acquire))
  await Promise.all(Array.from({ length: 50 }, release))
  expect(events).toEqual(['mount', 'unmount'])
})

it('counts a mount that an earlier process left as one user', async () => {
  const { events, acquire, release } = recorder(true)
  await acquire()
  await release()
  expect(events).toEqual([])
  await release()
  expect(events).toEqual(['unmount'])
})

it('unmounts what nobody holds, since an earlier process may have', async () => {
  const { events, release } = recorder()
  await release()
  expect(events).toEqual(['unmount'])
})

it('takes no reference when mounting fails', async () => {
  const references = new MountReferences(() => false)
  await expect(
    references.acquire('/m', () => {
      throw new Error('no')
    }),
  ).rejects.toThrow('no')
  expect(references.count('/m')).toBe(0)
})

it('keeps the reference when unmounting fails', async () => {
  const { references, acquire } = recorder()
  await acquire()
  await expect(
    references.release('/m', () => {
      throw new Error('busy')
    }),
  ).rejects.toThrow('busy')
  expect(references.count('/m')).toBe(1)
})

it('does not let different targets wait for each other', async () => {
  const references = new MountReferences(() => false)
  let open = (): void => undefined
  const slow = references.acquire('/slow', () => new Promise<void>((resolve) => (open = resolve)))
  await references.acquire('/fast', () => undefined)
  expect(references.count('/slow')).toBe(0)
  open()
  await slow
  expect(references.count('/slow')).toBe(1)
})

it('counts another process that mounted at the same moment as one user', async () => {
  const { events, references, acquire, release } = recorder()
  await references.acquire('/m', async () => false)
  expect(references.count('/m')).toBe(2)
  await acquire()
  await release()
  await release()
  expect(events).toEqual([])
  await release()
  expect(events).toEqual(['unmount'])
})
