/** The ratios of a report as a picture: a bar for each goal that has a peer, and a line where the goal is. */
import { number } from './document.ts'
import type { Report } from './report.ts'

const row = 26
const labelWidth = 420
const barWidth = 380
/** A ratio of this is as wide as the picture. */
const widest = 1.5

export function chartOf({ works, machine, date }: Report): string {
  const bars = works.flatMap(({ id, verdicts }) =>
    verdicts.flatMap(({ goal, of, to, found, reached }) =>
      to === undefined || found === undefined
        ? []
        : [{ label: `${id}, ${goal.statistic}: ${of} ÷ ${to}`, found, goal: goal.atMost, reached }],
    ),
  )
  const height = (bars.length + 3) * row
  const x = (ratio: number): number => labelWidth + (Math.min(ratio, widest) / widest) * barWidth
  const lines = bars.map(({ label, found, goal, reached }, index) => {
    const y = (index + 2) * row
    const color = reached === true ? '#2a7f4f' : '#b5542c'
    return `<text x="${labelWidth - 8}" y="${y + 15}" text-anchor="end">${escaped(label)}</text>
<rect x="${labelWidth}" y="${y + 3}" width="${(x(found) - labelWidth).toFixed(1)}" height="${row - 8}" fill="${color}"/>
<line x1="${x(goal).toFixed(1)}" x2="${x(goal).toFixed(1)}" y1="${y}" y2="${y + row - 2}" stroke="#222" stroke-width="2"/>
<text x="${(x(found) + 6).toFixed(1)}" y="${y + 15}">${number(found)}</text>`
  })
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${labelWidth + barWidth + 60} ${height}" font-family="sans-serif" font-size="12">
<rect width="100%" height="100%" fill="#fff"/>
<text x="8" y="18" font-size="15">Time and memory, ours ÷ theirs: shorter is better; the black line is the goal</text>
<text x="8" y="36" fill="#666">${escaped(`${machine.cpu}, Linux ${machine.kernel}, ${date.slice(0, 10)}`)}</text>
<line x1="${x(1)}" x2="${x(1)}" y1="${2 * row}" y2="${height - row}" stroke="#999" stroke-dasharray="4 3"/>
${lines.join('\n')}
</svg>
`
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
}
