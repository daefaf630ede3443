import { existsSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { expect, test } from 'vitest'
import { temporaryDirectory } from '../src/conformance/index.ts'
import { defineDriver, type DriverDefinition, hostOf, openReadOnly, selectDriver } from '../src/index.ts'

const opened: boolean[] = []

function definition(more: Partial<DriverDefinition>): DriverDefinition {
  return defineDriver({
    name: 'some',
    apiVersion: 1,
    platforms: [process.platform],
    summary: 'notes how it is opened',
    parse: () => ({}),
    probe: () => Promise.reject(new Error('nothing is tried')),
    open: ({ readOnly = false }) => {
      opened.push(readOnly)
      return Promise.reject(new Error('opened'))
    },
    ...more,
  })
}

async function rootWithState(root: string): Promise<string> {
  await mkdir(path.join(root, 'some'), { recursive: true })
  await writeFile(path.join(root, 'some', 'layer'), '')
  return root
}

test('where nothing is, nothing is opened or made', async () => {
  await using directory = await temporaryDirectory()
  const root = path.join(directory.path, 'root')
  const some = definition({ opensReadOnly: true })
  await expect(openReadOnly(some, hostOf(some, { root }))).rejects.toMatchObject({ code: 'GD_READ_ONLY' })
  expect([existsSync(root), opened]).toEqual([false, []])
})

test('a driver that does not say it can is not opened', async () => {
  await using directory = await temporaryDirectory()
  const root = await rootWithState(directory.path)
  const some = definition({})
  await expect(openReadOnly(some, hostOf(some, { root }))).rejects.toMatchObject({
    code: 'GD_DRIVER_UNSUPPORTED',
    details: { reason: 'read-only' },
  })
  expect(opened).toEqual([])
})

test('the one whose state is there is chosen without being tried, and opened for reading', async () => {
  await using directory = await temporaryDirectory()
  const root = await rootWithState(directory.path)
  const options = {
    root,
    readOnly: true,
    priority: ['some'],
    load: async () => definition({ opensReadOnly: true }),
  }
  const selection = await selectDriver(options)
  expect(selection.why).toBe('prior state')
  await expect(openReadOnly(selection.definition, hostOf(selection.definition, { root }))).rejects.toThrow(
    'opened',
  )
  expect(opened).toEqual([true])
  await expect(selectDriver({ ...options, root: path.join(root, 'other') })).rejects.toMatchObject({
    code: 'GD_READ_ONLY',
  })
})
