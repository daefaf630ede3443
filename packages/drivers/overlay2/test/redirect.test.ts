import { mkdirSync } from 'node:fs'
import path from 'node:path'
import { hasRedirect } from '@graphdriver/archive'
import { lsetxattr } from '@graphdriver/sys'
import { filesystem } from '@tooling/lab'
import { expect, test } from 'vitest'

import { missing } from './open.ts'

const skipped = missing('ext4')

test.skipIf(skipped !== undefined)(
  `a directory that was renamed by a redirect is found at any depth (${skipped ?? 'as root'})`,
  async () => {
    await using volume = await filesystem('ext4', { sizeMiB: 64 })
    const renamed = path.join(volume.path, 'a/b/c')
    mkdirSync(renamed, { recursive: true })
    expect(await hasRedirect(volume.path)).toBe(false)
    lsetxattr(renamed, 'trusted.overlay.redirect', Buffer.from('/old'))
    expect(await hasRedirect(volume.path)).toBe(true)
    await expect(hasRedirect(volume.path, AbortSignal.abort(new Error('enough')))).rejects.toThrow('enough')
  },
)
