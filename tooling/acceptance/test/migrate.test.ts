/** Images and writable layers go from any driver to any other, and nothing is lost on the way. */
import path from 'node:path'
import {
  filesystem,
  filesystemRequirements,
  generatedImage,
  missingGuest,
  need,
  runInGuest,
  temporaryDirectory,
} from '@tooling/lab'
import { execa } from 'execa'
import { describe, expect, test } from 'vitest'
import { graphdriver, program } from '../src/graphdriver.ts'
import { everyPair, type Hop, migrateEverywhere } from '../src/migrations.ts'

const missing = need(...filesystemRequirements('btrfs'), { kernelFilesystem: 'overlay' })
const noGuest = await missingGuest()

test('every ordered pair is gone once, one after another', () => {
  const pairs = everyPair(['a', 'b', 'c', 'd'])
  expect(new Set(pairs.map(([from, to]) => from + to)).size).toBe(12)
  expect(pairs.length).toBe(12)
  for (const [index, [from]] of pairs.entries()) expect(from).toBe(index === 0 ? 'a' : pairs[index - 1]?.[1])
})

test.skipIf(missing !== undefined)(
  `between every two of vfs, overlay, overlay2 and btrfs (${missing ?? 'as root'})`,
  async () => {
    await using own = await filesystem('btrfs', { sizeMiB: 1024, storage: 'memory' })
    const hops: Hop[] = []
    const drivers = ['vfs', 'overlay2', 'overlay', 'btrfs']
    await migrateEverywhere(path.join(own.path, 'root'), own.path, drivers, (hop) => hops.push(hop))
    expect(hops.length).toBe(12)
  },
  600_000,
)

// The kernels of test machines have not all of these.
test.skipIf(noGuest !== undefined)(
  `between every two of all that Linux has (${noGuest ?? 'in a guest'})`,
  async () => {
    const { exitCode, stdout, stderr } = await runInGuest({
      command: [process.execPath, new URL('guest/migrations.ts', import.meta.url).pathname],
      scratch: { filesystem: 'ext4', sizeMiB: 8192 },
      disks: [{ sizeMiB: 4096 }, { sizeMiB: 4096 }],
      seconds: 900,
    })
    expect([exitCode, stdout.match(/ -> /g)?.length, stderr]).toEqual([0, 42, expect.any(String)])
  },
  1_200_000,
)

describe.skipIf(missing !== undefined)(
  `what is refused, with nothing changed (${missing ?? 'as root'})`,
  () => {
    async function refused(root: string, ...args: readonly string[]): Promise<string> {
      const { exitCode, stderr } = await execa(
        process.execPath,
        [program, '--root', root, 'migrate', ...args],
        {
          reject: false,
          stdin: 'ignore',
        },
      )
      expect(exitCode).not.toBe(0)
      expect(await graphdriver({ root, driver: 'overlay2' }, 'images')).toContain('full:latest')
      return stderr
    }

    test('a disk that is too small, a driver that is not there, one that has nothing, the same', async () => {
      await using own = await filesystem('ext4', { sizeMiB: 64, storage: 'memory' })
      const root = path.join(own.path, 'root')
      const content = 'x'.repeat(9 * 1024 * 1024)
      const layers = [1, 2, 3].map((index) => [{ name: `file${index}`, content }])
      await using scratch = await temporaryDirectory()
      const image = await generatedImage(scratch.path, 'full:latest', layers)
      await graphdriver({ root, driver: 'overlay2' }, 'load', image)
      const space = await refused(root, '--from', 'overlay2', '--to', 'vfs')
      expect(space).toMatch(/takes about 5\d.*MB, and .* has \d.* left; make room.*\[GD_MIGRATION_REFUSED\]/)
      expect(await refused(root, '--from', 'overlay2', '--to', 'overlay3')).toContain('GD_DRIVER_NOT_FOUND')
      expect(await refused(root, '--from', 'vfs', '--to', 'overlay')).toContain('holds nothing of vfs')
      expect(await refused(root, '--from', 'overlay2', '--to', 'overlay2')).toContain('are both overlay2')
      expect(await refused(root, '--from', 'overlay2')).toContain('needs --from and --to')
      expect(await refused(root, '--finish', '--to', 'vfs')).toContain('--finish goes alone')
    })
  },
)
