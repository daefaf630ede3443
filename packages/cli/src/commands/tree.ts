import { writeFile } from 'node:fs/promises'
import type { Invocation } from '../invocation.ts'
import { forest, labelOf, type TreeNode } from '../layer-tree.ts'
import { Session } from '../session.ts'
import { treeSvg } from '../tree-svg.ts'

export interface TreeFlags {
  readonly svg?: string
}

/** `graphdriver tree [--svg FILE]`: what stands on what. */
export async function tree(invocation: Invocation, { svg }: TreeFlags): Promise<void> {
  await using session = await Session.openExisting(invocation)
  const roots = session === undefined ? [] : await session.reading(async (stores) => forest(stores))
  if (svg !== undefined) await writeFile(svg, treeSvg(roots))
  invocation.output.result({ layers: roots }, () => (svg === undefined ? linesOf(roots).join('') : ''))
}

function linesOf(roots: readonly TreeNode[]): readonly string[] {
  return roots.flatMap((root) => [`${labelOf(root)}\n`, ...branchesOf(root.above, '')])
}

function branchesOf(nodes: readonly TreeNode[], indent: string): readonly string[] {
  return nodes.flatMap((node, index) => {
    const isLast = index === nodes.length - 1
    const line = `${indent}${isLast ? '└─ ' : '├─ '}${labelOf(node)}\n`
    return [line, ...branchesOf(node.above, `${indent}${isLast ? '   ' : '│  '}`)]
  })
}
