/** One thing in the place of another. */
import type { CaseBody } from '../case.ts'
import { directory, file, symlink, type Recipe } from '../recipe/step.ts'
import { type RawEntry } from '../tar/raw-tar.ts'
import { treeWithContent, upon } from './applied-layer.ts'

/** One thing takes the place of another of the same name in the layer below. */
function replacement(
  name: string,
  title: string,
  [lower, entries, expected]: readonly [Recipe, readonly RawEntry[], readonly string[]],
): CaseBody {
  return {
    name: `replace-${name}`,
    title,
    async run(context) {
      await upon(context, lower, entries, expected)
    },
  }
}

export const replacements: readonly CaseBody[] = [
  replacement('directory-by-file', 'a file takes the place of a directory with all that is in it', [
    treeWithContent,
    [{ name: 'x', data: 'new' }],
    ['x "new"'],
  ]),
  replacement('directory-by-symlink', 'a symbolic link takes the place of a directory with content', [
    [...treeWithContent, directory('y')],
    [{ name: 'x', type: '2', link: 'y' }],
    ['x -> y', 'y/'],
  ]),
  replacement('file-by-directory', 'a directory takes the place of a file', [
    [file('x', 'old')],
    [{ name: 'x/' }, { name: 'x/new', data: 'new' }],
    ['x/', 'x/new "new"'],
  ]),
  replacement('file-by-symlink', 'a symbolic link takes the place of a file', [
    [file('x', 'old'), file('y', 'y')],
    [{ name: 'x', type: '2', link: 'y' }],
    ['x -> y', 'y "y"'],
  ]),
  replacement('file-by-fifo', 'a fifo takes the place of a file', [
    [file('x', 'old')],
    [{ name: 'x', type: '6' }],
    ['x fifo'],
  ]),
  replacement('file-by-file', 'a file takes the place of a longer one, and nothing of that is left', [
    [file('x', 'a long old content')],
    [{ name: 'x', data: 'new' }],
    ['x "new"'],
  ]),
  replacement('symlink-by-directory', 'a directory takes the place of a symbolic link to a directory', [
    [symlink('x', 'y'), directory('y'), file('y/f', 'y')],
    [{ name: 'x/' }, { name: 'x/new', data: 'new' }],
    ['x/', 'x/new "new"', 'y/', 'y/f "y"'],
  ]),
  replacement('symlink-by-file', 'a file takes the place of a symbolic link and is not written through it', [
    [symlink('x', 'y'), file('y', 'y')],
    [{ name: 'x', data: 'new' }],
    ['x "new"', 'y "y"'],
  ]),
]
