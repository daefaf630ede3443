/**
 * Which layers are Windows layers: their directory has a stream that says so. It goes where the directory goes, and a
 * child, which starts as a copy, has it from its parent. All other layers are what POSIX makes of them.
 */
import { existsSync, writeFileSync } from 'node:fs'

function mark(tree: string): string {
  return `${tree}:graphdriver.windows-layer`
}

/** @param tree the layer's directory */
export function isWindowsLayer(tree: string): boolean {
  return existsSync(mark(tree))
}

export function makeWindowsLayer(tree: string): void {
  writeFileSync(mark(tree), '1\n', { mode: 0o600 })
}
