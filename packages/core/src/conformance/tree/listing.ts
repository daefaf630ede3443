/** What a tree shows, in lines that a case can write down. */
import { readFileSync } from 'node:fs'
import { bytePath, type TreeFile, walkTree } from './tree.ts'

/** Longer content is told by its length. */
const textLimit = 64

function textOf(root: string, name: string, { size }: TreeFile): string {
  return size > textLimit ? `${size} bytes` : JSON.stringify(readFileSync(bytePath(root, name), 'latin1'))
}

function lineOf(root: string, name: string, file: TreeFile): string {
  if (file.firstName !== name && file.type !== 'directory') return `${name} = ${file.firstName}`
  switch (file.type) {
    case 'directory':
      return `${name}/`
    case 'file':
      return `${name} ${textOf(root, name, file)}`
    case 'symlink':
      return `${name} -> ${file.target ?? ''}`
    case 'character device':
    case 'block device':
      return `${name} ${file.type} ${file.device ?? ''}`
    case 'fifo':
    case 'socket':
      return `${name} ${file.type}`
  }
}

/**
 * A tree in one line per name, in byte order: `d/`, `d/f "content"`, `l -> target`, and `b = a` for a second name of
 * the same inode. Names are one character per byte.
 */
export function listing(root: string): readonly string[] {
  return [...walkTree(root)].filter(([name]) => name !== '').map(([name, file]) => lineOf(root, name, file))
}

/** Mode and owner of one file: `4755 1:2`. */
export function dress(root: string, name: string): string {
  const file = walkTree(root).get(name)
  return file === undefined ? 'nothing' : `${file.mode.toString(8).padStart(4, '0')} ${file.owner}`
}
