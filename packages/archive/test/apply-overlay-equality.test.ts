import path from 'node:path'
import { isGraphDriverError } from '@graphdriver/core'
import { mount, umount } from '@graphdriver/sys'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { applyTar } from '../src/apply/apply.ts'
import type { ApplyRequest } from '../src/apply/options.ts'
import { describeTree } from './support/describe-tree.ts'
import { type RawEntry, rawTar } from '@graphdriver/core/conformance'
import { isRoot, openDescriptors, scratch } from './support/scratch.ts'

const at = { mtime: '1600000000.000000001' }
const part = fc.constantFrom('a', 'b', 'c')
const somewhere = fc.array(part, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/'))
const inside = (parts: readonly string[], name: string): string => [...parts, name].join('/')
const parents = fc.array(part, { maxLength: 2 })
const mode = fc.constantFrom(0o700, 0o755, 0o1777)

/** Few names, so that entries meet. Directories are left out as often as listed. */
const entry: fc.Arbitrary<RawEntry> = fc.oneof(
  fc.record({ name: somewhere, data: fc.constantFrom('1', '22') }).map((file) => ({ ...file, ...at })),
  fc
    .record({ name: somewhere, mode })
    .map((directory) => ({ ...directory, ...at, name: `${directory.name}/` })),
  fc
    .record({ name: somewhere, link: fc.tuple(fc.constantFrom('', '/', '../'), somewhere) })
    .map(({ name, link }) => ({ name, type: '2', link: link.join(''), ...at })),
  fc.tuple(parents, part).map(([above, name]) => ({ name: inside(above, `.wh.${name}`) })),
  fc.array(part, { minLength: 1, maxLength: 2 }).map((above) => ({ name: inside(above, '.wh..wh..opq') })),
)
const layer = fc.array(entry, { minLength: 1, maxLength: 6 })

/** @returns whether the layer could be applied; one that makes no sense is refused as such */
function applied(request: ApplyRequest, entries: readonly RawEntry[]): boolean {
  try {
    applyTar(
      request,
      (take) => take(rawTar(...entries)),
      () => undefined,
    )
    return true
  } catch (error) {
    if (isGraphDriverError(error, 'GD_ARCHIVE_INVALID')) return false
    throw error
  }
}

describe.skipIf(!isRoot)('any layers (need root)', () => {
  it('look the same stacked by overlayfs as merged into one tree', async () => {
    await using dir = await scratch()
    const open = await openDescriptors()
    let run = 0
    fc.assert(
      fc.property(fc.array(layer, { minLength: 2, maxLength: 3 }), (layers) => {
        const home = dir.directory(`run-${run++}`)
        const make = (name: string) => dir.directory(path.join(path.basename(home), name))
        const merged = make('merged')
        const lowers: string[] = [make('empty')]
        for (const [index, entries] of layers.entries()) {
          const top = make(`layer-${index}`)
          const inTree = applied({ root: merged, whiteouts: 'remove' }, entries)
          const onItsOwn = applied(
            { root: top, whiteouts: { format: 'overlay', xattr: 'trusted' }, lowers },
            entries,
          )
          expect(onItsOwn).toBe(inTree)
          if (!inTree) return
          lowers.unshift(top)
        }
        const view = make('view')
        mount({ source: 'overlay', target: view, type: 'overlay', data: `lowerdir=${lowers.join(':')}` })
        try {
          expect(describeTree(view)).toEqual(describeTree(merged))
        } finally {
          umount(view)
        }
      }),
      { numRuns: 400 },
    )
    expect(await openDescriptors()).toBe(open)
  })
})
