/** Labels of mounts, which mean something only to a kernel with SELinux and a policy: in a guest that has both. */
import { missingGuest, runInGuest } from '@tooling/lab'
import { describe, expect, test } from 'vitest'

const missing = await missingGuest({ command: 'secilc' })
const program = new URL('guest/labels.ts', import.meta.url).pathname

describe.skipIf(missing !== undefined)(`SELinux (${missing ?? 'in a guest'})`, () => {
  test.each(['overlay2', 'overlay', 'aufs', 'devicemapper', 'zfs'])(
    'who has other categories reads nothing of a layer of %s',
    { timeout: 180_000 },
    async (driver) => {
      const { exitCode, stdout, stderr } = await runInGuest({
        command: [process.execPath, program, driver],
        selinux: true,
        disks: [{ sizeMiB: 512 }],
      })
      expect([exitCode, stdout, stderr]).toEqual([0, '', ''])
    },
  )
})
