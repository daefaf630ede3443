/** Who may not look into a data root sees nothing of what is in layers. */
import { need } from '@tooling/lab'
import { execa } from 'execa'
import { describe, expect, test } from 'vitest'
import { emptyRoot } from './data-root.ts'
import { demoImage, demoName, succeed } from './graphdriver.ts'

const missing = need(
  { root: true },
  { command: 'setpriv', package: 'util-linux' },
  { command: 'find', package: 'findutils' },
)

describe.skipIf(missing !== undefined)(`permissions (${missing ?? 'as root'})`, () => {
  test.each(['overlay2', 'vfs'])('nobody reads what is in the layers of %s', async (driver) => {
    await using root = await emptyRoot()
    const own = ['--root', root.path, '--driver', driver] as const
    await succeed([...own, 'load', demoImage])
    await succeed([...own, 'mount', demoName, '--name', 'box'])
    try {
      const readable = await execa(
        'setpriv',
        [
          '--reuid=65534',
          '--regid=65534',
          '--clear-groups',
          'find',
          root.path,
          '-mindepth',
          '1',
          '-readable',
          '-not',
          '-type',
          'l',
        ],
        { reject: false },
      )
      expect(readable.stdout).toBe('')
      // As root there is something to see.
      expect((await execa('find', [root.path, '-type', 'f', '-readable'])).stdout).not.toBe('')
    } finally {
      await succeed([...own, 'unmount', 'box'])
    }
  })
})
