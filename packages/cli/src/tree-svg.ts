/** What `graphdriver tree --svg` writes: a line for each layer, the lines between those that stand on each other. */
import { labelOf, type TreeNode } from './layer-tree.ts'
import { escaped } from './svg.ts'

const [lineHeight, indent, margin, fontSize] = [22, 24, 16, 13] as const

interface Placed {
  readonly node: TreeNode
  readonly depth: number
  readonly row: number
  readonly parentRow: number | undefined
}

export function treeSvg(roots: readonly TreeNode[]): string {
  const placed: Placed[] = []
  const place = (node: TreeNode, depth: number, parentRow: number | undefined): void => {
    const row = placed.length
    placed.push({ node, depth, row, parentRow })
    for (const child of node.above) place(child, depth + 1, row)
  }
  for (const root of roots) place(root, 0, undefined)
  const longest = Math.max(0, ...placed.map(({ node, depth }) => depth * 3 + labelOf(node).length))
  const width = 2 * margin + longest * fontSize * 0.65
  const height = 2 * margin + placed.length * lineHeight
  const font = `font-family="ui-monospace, monospace" font-size="${fontSize}"`
  const head = `<svg xmlns="http://www.w3.org/2000/svg" width="${Math.ceil(width)}" height="${height}" ${font}>`
  return [head, '<title>Layers</title>', ...placed.flatMap(shapesOf), '</svg>', ''].join('\n')
}

function shapesOf({ node, depth, row, parentRow }: Placed): readonly string[] {
  const [x, y] = [margin + depth * indent, margin + row * lineHeight + lineHeight / 2]
  const text = `<text x="${x + 12}" y="${y + fontSize / 3}" fill="currentColor">${escaped(labelOf(node))}</text>`
  const dot = `<circle cx="${x}" cy="${y}" r="4" fill="${node.sharedBy > 1 ? '#d97706' : '#2563eb'}"/>`
  if (parentRow === undefined) return [dot, text]
  const from = margin + parentRow * lineHeight + lineHeight / 2
  const path = `<path d="M${x - indent} ${from}V${y}H${x}" fill="none" stroke="#94a3b8"/>`
  return [path, dot, text]
}
