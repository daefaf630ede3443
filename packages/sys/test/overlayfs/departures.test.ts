import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { mount, MS, umount } from '../../src/index.ts'
import { Departures, isStackMounted, mountExclusively } from '../../src/overlayfs/index.ts'
import { isRoot, scratch } from '../scratch.ts'

function overlayAt(home: string, name: string): { readonly target: string; readonly lock: string } {
  for (const part of ['diff', 'work']) mkdirSync(path.join(home, name, part), { recursive: true })
  return { target: path.join(home, name, 'merged'), lock: path.join(home, name, 'work') }
}

function mountAt(home: string, name: string): Promise<boolean> {
  const stack = {
    lower: ['lower'],
    upper: { diff: `${name}/diff`, work: `${name}/work` },
    options: [],
    label: undefined,
  }
  return mountExclusively({ home, appendsLower: true, ...overlayAt(home, name) }, stack)
}

test.skipIf(!isRoot)(
  'what is unmounted is gone from its place at once, and lets the disk go by the end',
  async () => {
    using place = scratch()
    const volume = place.at('volume')
    mkdirSync(volume)
    mount({ source: 'departures', target: volume, type: 'tmpfs' })
    mount({ source: 'none', target: volume, flags: MS.PRIVATE })
    mkdirSync(path.join(volume, 'lower'))
    const departures = new Departures()
    const before = readdirSync('/proc/self/fd').length
    // More than may go behind the caller.
    const names = Array.from({ length: 100 }, (_, index) => `layer-${index}`)
    for (const name of names) await mountAt(volume, name)
    for (const name of names) {
      const { target, lock } = overlayAt(volume, name)
      writeFileSync(path.join(target, 'file'), name)
      await departures.unmount({ target, lock })
      expect(isStackMounted(target)).toBe(false)
    }
    const again = names.at(-1) ?? ''
    await departures.gone(overlayAt(volume, again).target)
    expect(await mountAt(volume, again)).toBe(true)
    expect(readFileSync(path.join(volume, again, 'merged/file'), 'utf8')).toBe(again)
    await departures.unmount(overlayAt(volume, again))
    // Not mounted is success.
    await departures.unmount(overlayAt(volume, again))
    await departures.allGone()
    expect(readdirSync('/proc/self/fd')).toHaveLength(before)
    // Busy, were one of them still there.
    umount(volume)
  },
)
