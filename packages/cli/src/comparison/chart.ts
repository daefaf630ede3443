/** The comparison as a picture: a panel for each figure, a bar for each driver, the best one marked. */
import { formatBytes, formatMilliseconds } from '../quantity.ts'
import { escaped } from '../svg.ts'
import { type ComparedDriver, type DriverFigures, isMeasured } from './figures.ts'
import { comparisonText } from './text.ts'

interface Panel {
  readonly title: string
  readonly of: (figures: DriverFigures) => number
  readonly show: (value: number) => string
  readonly best: 'least' | 'most'
}

const milliseconds = (value: number): string => `${formatMilliseconds(value)} ms`

const panels: readonly Panel[] = [
  {
    title: 'Unpacking, bytes a second',
    of: (one) => one.unpackBytesPerSecond,
    show: formatBytes,
    best: 'most',
  },
  { title: 'Start of a container', of: (one) => one.containers.startMs, show: milliseconds, best: 'least' },
  {
    title: 'Removal of a container',
    of: (one) => one.containers.removeMs,
    show: milliseconds,
    best: 'least',
  },
  { title: 'Changes of a container', of: (one) => one.changesMs, show: milliseconds, best: 'least' },
  { title: 'A layer on the image', of: (one) => one.layerMs, show: milliseconds, best: 'least' },
  { title: 'Disk, each layer', of: (one) => one.layerBytes, show: formatBytes, best: 'least' },
  { title: 'Inodes, each layer', of: (one) => one.layerInodes, show: String, best: 'least' },
  { title: 'Disk, each container', of: (one) => one.containers.bytes, show: formatBytes, best: 'least' },
  { title: 'Inodes, each container', of: (one) => one.containers.inodes, show: String, best: 'least' },
  {
    title: 'Memory, each container',
    of: (one) => one.containers.memoryBytes,
    show: formatBytes,
    best: 'least',
  },
]

const [columns, panelWidth, barHeight, nameWidth, valueWidth, gap] = [2, 440, 18, 130, 90, 24] as const

export function comparisonSvg(compared: readonly ComparedDriver[]): string {
  const measured = compared.filter(isMeasured)
  const panelHeight = 28 + measured.length * (barHeight + 4) + gap
  const width = gap + columns * (panelWidth + gap)
  const height = 60 + Math.ceil(panels.length / columns) * panelHeight
  const drawn = panels.map((panel, at) => {
    const [x, y] = [gap + (at % columns) * (panelWidth + gap), 52 + Math.floor(at / columns) * panelHeight]
    return `<g transform="translate(${x} ${y})">\n${drawPanel(panel, measured)}\n</g>`
  })
  const counts = new Set(measured.map(({ containers }) => containers.count))
  const filesystems = new Set(measured.map(({ filesystem }) => filesystem))
  const title = `Storage drivers on ${[...filesystems].join(', ')}, ${[...counts].join(' or ')} containers of one image`
  const head = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="ui-sans-serif, sans-serif" font-size="12">`
  return [
    head,
    `<title>${escaped(title)}</title>`,
    `<text x="${gap}" y="28" font-size="16" fill="currentColor">${escaped(title)}</text>`,
    ...drawn,
    '</svg>',
    '',
  ].join('\n')
}

function drawPanel({ title, of, show, best }: Panel, measured: readonly DriverFigures[]): string {
  const values = measured.map(of)
  const longest = Math.max(...values, Number.MIN_VALUE)
  const goal = best === 'least' ? Math.min(...values) : Math.max(...values)
  const room = panelWidth - nameWidth - valueWidth
  const isMixed = new Set(measured.map(({ filesystem }) => filesystem)).size > 1
  const bars = measured.map(({ driver, filesystem }, at) => {
    const value = values[at] ?? 0
    const y = 12 + at * (barHeight + 4)
    const length = Math.max(1, Math.round((value / longest) * room))
    const text = `y="${y + barHeight - 5}" fill="currentColor"`
    return [
      `<text x="0" ${text}>${escaped(isMixed ? `${driver}, ${filesystem}` : driver)}</text>`,
      `<rect x="${nameWidth}" y="${y}" width="${length}" height="${barHeight}" rx="2" fill="${value === goal ? '#16a34a' : '#94a3b8'}"/>`,
      `<text x="${nameWidth + length + 6}" ${text}>${escaped(show(value))}</text>`,
    ].join('\n')
  })
  return [`<text x="0" y="0" font-weight="600" fill="currentColor">${escaped(title)}</text>`, ...bars].join(
    '\n',
  )
}

export function comparisonHtml(compared: readonly ComparedDriver[]): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="color-scheme" content="light dark">
<title>Storage drivers</title>
<body style="font-family: ui-sans-serif, sans-serif">
${comparisonSvg(compared)}
<pre>${escaped(comparisonText(compared))}</pre>
</body>
</html>
`
}
