/**
 * From the upper directory of an overlay mount to a layer's tar: the kernel's whiteouts become the `.wh.` files of
 * the image format, so that deletions in the test image are the kernel's own and not our idea of them.
 */
import { rmSync, writeFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { command } from '@graphdriver/core/conformance'
import { bytePath, readTree, type Tree } from '@graphdriver/core/conformance'

const opaque = 'trusted.overlay.opaque'

/** A file `.wh.<name>` hides `<name>` of lower layers; a directory with `.wh..wh..opq` hides all they have in it. */
function markWhiteouts(root: string, tree: Tree): readonly string[] {
  return [...tree].flatMap(([name, file]) => {
    if (file.type === 'character device' && file.device === '0:0') {
      const marker = path.posix.join(path.posix.dirname(name), `.wh.${path.posix.basename(name)}`)
      rmSync(bytePath(root, name))
      writeFileSync(bytePath(root, marker), '')
      return [marker]
    }
    if (name === '' || file.xattrs[opaque] === undefined) return name === '' ? [] : [name]
    writeFileSync(bytePath(root, `${name}/.wh..wh..opq`), '')
    return [name, `${name}/.wh..wh..opq`]
  })
}

/** Packs `upper` into `tar`. The directory stays as it is, being the lower one of later layers. */
export async function packLayer(upper: string, tar: string, tarOptions: readonly string[]): Promise<void> {
  const staged = `${upper}.staged`
  await command('cp', ['--archive', '--link', upper, staged])
  const names = markWhiteouts(staged, await readTree(staged)).toSorted((a, b) => (a < b ? -1 : 1))
  const list = `${upper}.list`
  await writeFile(list, Buffer.from(names.map((name) => `${name}\0`).join(''), 'latin1'))
  await command('tar', [
    '--create',
    `--file=${tar}`,
    `--directory=${staged}`,
    '--null',
    '--no-recursion',
    `--files-from=${list}`,
    '--format=posix',
    '--blocking-factor=2',
    '--numeric-owner',
    '--xattrs',
    '--xattrs-include=security.capability',
    '--xattrs-include=user.*',
    ...tarOptions,
  ])
  rmSync(staged, { recursive: true })
}
