import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, readdirSync } from 'node:fs'
import path from 'node:path'
import { missingGuest, runInGuest, temporaryDirectory } from '../src/index.ts'
import { describe, expect, test } from 'vitest'
import { compareVersions } from '../src/guest/kernel.ts'

const missing = await missingGuest()

function sh(script: string): readonly [string, ...string[]] {
  return ['sh', '-c', script]
}

/** Pids of the guests that a process started; other tests may have theirs meanwhile. */
function guestsOf(owner = process.pid): readonly string[] {
  const words = `umid=guest-${owner}\0`
  return readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(words)
    } catch {
      return false
    }
  })
}

test('versions are compared by their numbers', () => {
  expect(['6.12', '6.9', '7.2', '6.1'].toSorted(compareVersions)).toEqual(['6.1', '6.9', '6.12', '7.2'])
})

describe.skipIf(missing !== undefined)(`guests (${missing ?? 'as root'})`, () => {
  test('a command runs with the host’s programs, and says what it has to say', async () => {
    const { exitCode, stdout, stderr } = await runInGuest({
      command: sh('echo out; echo err >&2; pwd; node --version; echo "$WORD"; exit 7'),
      env: { WORD: "it's a 'word'" },
      cwd: import.meta.dirname,
    })
    expect({ exitCode, stderr }).toEqual({ exitCode: 7, stderr: 'err\n' })
    expect(stdout).toBe(`out\n${import.meta.dirname}\n${process.version}\nit's a 'word'\n`)
  })

  test('it changes nothing of the host, but where it may', async () => {
    await using directory = await temporaryDirectory()
    const [open, closed] = [path.join(directory.path, 'open'), path.join(directory.path, 'closed')]
    mkdirSync(open)
    const { exitCode } = await runInGuest({
      command: sh(`echo yes > ${open}/file; echo no > ${closed}-file; touch /guest-was-here`),
      writable: [open],
    })
    expect(exitCode).toBe(0)
    expect(readFileSync(path.join(open, 'file'), 'utf8')).toBe('yes\n')
    expect(existsSync(`${closed}-file`) || existsSync('/guest-was-here')).toBe(false)
  })

  test.for(['ext4', 'xfs'] as const)('it has project quotas on %s', async (filesystem) => {
    const { stdout } = await runInGuest({
      command: sh('stat -f -c %T $TMPDIR; grep /mnt/scratch /proc/mounts'),
      scratch: {
        filesystem,
        sizeMiB: 512,
        mkfsOptions: filesystem === 'ext4' ? ['-O', 'quota,project', '-E', 'quotatype=prjquota'] : [],
        mountOptions: ['prjquota'],
      },
    })
    expect(stdout).toMatch(filesystem === 'ext4' ? /^ext2\/ext3\n/ : /^xfs\n/)
    expect(stdout).toMatch(/prjquota/)
  })

  test('it has device-mapper and ZFS, with blank disks for them', async () => {
    const { stdout, stderr } = await runInGuest({
      command: sh(`
        zpool create -O mountpoint=none lab /dev/ubdb && zfs create lab/layer && zfs snapshot lab/layer@one
        zfs list -H -o name -t all && grep device-mapper /proc/misc`),
      disks: [{ sizeMiB: 512 }],
    })
    expect([stdout, stderr]).toEqual([expect.stringContaining('lab/layer@one\n'), ''])
    expect(stdout).toContain('device-mapper')
  })

  test('one that takes too long is ended, with its last words', async () => {
    const request = { command: sh('echo before; sleep 600'), seconds: 8 }
    await expect(runInGuest(request)).rejects.toThrow(/was ended after 8 s: [^]*before/)
    await expect.poll(() => guestsOf(), { timeout: 5000 }).toEqual([])
  })

  test('one that panics is an error, with the kernel’s last words', async () => {
    const request = { command: sh('echo c > /proc/sysrq-trigger'), seconds: 60 }
    await expect(runInGuest(request)).rejects.toThrow(/the guest died: [^]*sysrq/i)
  })

  test('none outlives who started it', async () => {
    const index = JSON.stringify(new URL('../src/index.ts', import.meta.url).href)
    const program = `
      import { runInGuest } from ${index}
      await runInGuest({ command: ['sleep', '600'] })`
    const owner = spawn(process.execPath, ['--input-type=module', '--eval', program], { stdio: 'ignore' })
    await expect.poll(() => guestsOf(owner.pid).length, { timeout: 20_000 }).toBeGreaterThan(0)
    owner.kill('SIGKILL')
    await once(owner, 'close')
    await expect.poll(() => guestsOf(owner.pid), { timeout: 10_000 }).toEqual([])
  })
})
