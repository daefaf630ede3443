import path from 'node:path'
import { CommandError, run } from '@graphdriver/sys'
import { filesystem, type FilesystemKind, need } from '@tooling/lab'
import { describe, expect, test } from 'vitest'
import { missing } from './open.ts'

const kinds: readonly FilesystemKind[] = ['ext4', 'xfs', 'btrfs', 'tmpfs']

describe.each(kinds)('overlay2 in a user namespace, on %s', (kind) => {
  const skipped = missing(kind) ?? need({ command: 'unshare', package: 'util-linux' })

  test.skipIf(skipped !== undefined)(
    `stacks with userxattr and diffs natively (${skipped ?? 'as root'})`,
    async ({ skip }) => {
      try {
        await run('unshare', ['--user', '--map-root-user', '--mount', 'true'])
      } catch (error) {
        skip(error instanceof CommandError, `user namespaces are not allowed here: ${String(error)}`)
      }
      await using volume = await filesystem(kind, { sizeMiB: 512 })
      const program = path.join(import.meta.dirname, 'in-namespace.ts')
      const inside = ['--user', '--map-root-user', '--mount', process.execPath, program, volume.path]
      const { stdout } = await run('unshare', inside)
      expect(JSON.parse(stdout)).toMatchObject({
        probe: { supported: true },
        status: expect.arrayContaining([
          ['Native Overlay Diff', 'true'],
          ['userxattr', 'true'],
        ]),
        capabilities: { diff: { native: true }, ownership: 'mapped', deviceNodes: false },
        options: expect.arrayContaining(['userxattr']),
        shown: expect.arrayContaining(['dir', 'dir/new', 'kept']),
        whiteout: true,
        opaque: 'y',
        leftovers: [],
        size: 0,
      })
      expect(JSON.parse(stdout)).not.toMatchObject({ shown: expect.arrayContaining(['file']) })
    },
  )
})
