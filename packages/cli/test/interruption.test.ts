/** What becomes of a data root when the command is ended in the middle. */
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { generatedImage, need, type TarEntry } from '@tooling/lab'
import { describe, expect, test } from 'vitest'
import { contentOf, demoRoot, emptyRoot } from './data-root.ts'
import { demoName, graphdriver, json, start, succeed } from './graphdriver.ts'

/** Long enough to load that a signal sent after the first layer comes before the last is there. */
function bigImage(directory: string): Promise<string> {
  const layers = [500, 3000, 3000].map((count, layer) =>
    Array.from({ length: count }, (_, at): TarEntry => ({
      name: `layer-${layer}/file-${at}`,
      content: `${layer} ${at}\n`,
    })),
  )
  return generatedImage(directory, 'big:latest', layers)
}

/** Resolves when the second layer is being made: its first file is there, many more are to come. */
async function secondLayerBegun(root: string, driver: string): Promise<void> {
  const file = path.join(driver === 'vfs' ? '' : 'diff', 'layer-1', 'file-0')
  const home = driverHome(root, driver)
  while (!driverLayers(root, driver).some((layer) => existsSync(path.join(home, layer, file)))) {
    // The loader needs the processor too.
    await pause(1)
  }
}

function mountsIn(directory: string): readonly string[] {
  const table = readFileSync('/proc/self/mountinfo', 'utf8').split('\n')
  return table.filter((line) => line.includes(directory))
}

function driverHome(root: string, driver: string): string {
  return path.join(root, driver, driver === 'vfs' ? 'dir' : '')
}

/** The layers that the driver has on disk. */
function driverLayers(root: string, driver: string): readonly string[] {
  return readdirSync(driverHome(root, driver)).filter((name) => name !== 'l')
}

describe.each(['overlay2', 'vfs'])('load with %s', (driver) => {
  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)(
    'ended by %s leaves nothing, exit code %i',
    async (signal, expected) => {
      await using root = await emptyRoot()
      const image = await bigImage(root.scratch)
      const env = { GRAPHDRIVER_DRIVER: driver }
      await succeed(['--root', root.path, 'load', image], { env })
      await succeed(['--root', root.path, 'rmi', 'big'], { env })
      const before = contentOf(root.path)

      const call = start(['--root', root.path, 'load', image], { env })
      await call.said('layer 1/3')
      await secondLayerBegun(root.path, driver)
      call.process.kill(signal)
      const { code, stderr } = await call.outcome

      expect(code).toBe(expected)
      expect(stderr).toContain(`graphdriver: ended by ${signal}`)
      expect(contentOf(root.path)).toEqual(before)
      expect(mountsIn(root.path)).toEqual([])
      // It waits for the disk several times, which others may keep busy.
    },
    180_000,
  )
})

test('load killed in the middle leaves no layer, and loads afterwards', async () => {
  await using root = await emptyRoot()
  const image = await bigImage(root.scratch)
  const { driver } = await json(['--root', root.path, 'info'])
  const call = start(['--root', root.path, 'load', image])
  await call.said('layer 1/3')
  await secondLayerBegun(root.path, driver)
  call.process.kill('SIGKILL')
  expect((await call.outcome).code).toBe(137)
  // Or this case would show nothing.
  const complete = (await json(['--root', root.path, 'layers'])).layers.length
  expect(driverLayers(root.path, driver).length).toBeGreaterThan(complete)

  // All of an image's layers are recorded together.
  expect(complete).toBe(0)
  expect((await json(['--root', root.path, 'images'])).images).toEqual([])

  await succeed(['--root', root.path, 'load', image])
  expect((await json(['--root', root.path, 'layers', 'big'])).layers).toHaveLength(3)
  // Of the layer that was being made, nothing is left.
  expect(driverLayers(root.path, driver)).toHaveLength(3)
})

test("a killed run's layer and mount go with the next command that changes something (needs root)", async ({
  skip,
}) => {
  const missing = need({ root: true })
  skip(missing !== undefined, missing)
  await using root = await demoRoot()
  const before = driverLayers(root.path, (await json(['--root', root.path, 'info'])).driver)
  const call = start([
    '--root',
    root.path,
    'run',
    '--runtime',
    'chroot',
    demoName,
    '/bin/hello',
    'sleep',
    '60',
  ])
  await call.said('waiting')
  const [layer = ''] = (await json(['--root', root.path, 'info'])).contents.writable
  const busy = await graphdriver(['--root', root.path, 'rm', layer])
  expect(busy.code).toBe(1)
  expect(busy.stderr).toContain('in use by a running process')

  call.process.kill('SIGKILL')
  expect((await call.outcome).code).toBe(137)
  await succeed(['--root', root.path, 'run', demoName])
  const { contents, driver } = await json(['--root', root.path, 'info'])
  expect(contents.writable).toEqual([])
  expect(driverLayers(root.path, driver)).toEqual(before)
  expect(mountsIn(root.path)).toEqual([])
})

test.for(['runc', 'chroot'])(
  'run by %s hands SIGTERM to the process, and returns its exit code',
  async (runtime, { skip }) => {
    const missing = need({ root: true }, { command: runtime === 'runc' ? 'runc' : 'unshare' })
    skip(missing !== undefined, missing)
    await using root = await demoRoot()
    const call = start([
      '--root',
      root.path,
      'run',
      '--runtime',
      runtime,
      demoName,
      '/bin/hello',
      'sleep',
      '60',
    ])
    await call.said('waiting')
    call.process.kill('SIGTERM')
    expect(await call.outcome).toMatchObject({ code: 143, stdout: 'waiting\nsignal 15\n' })
    expect((await json(['--root', root.path, 'info'])).contents.writable).toEqual([])
    expect(mountsIn(root.path)).toEqual([])
  },
)
