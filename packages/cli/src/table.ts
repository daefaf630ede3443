/** Columns under upper-case heads, two spaces apart, the last as wide as it likes. */
export function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [heads, ...rows]
  const widths = heads.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)))
  return lines.map((line) => `${alignLeft(line, widths)}\n`).join('')
}

/** `key: value` lines with the values one below the other. */
export function pairs(rows: readonly (readonly [key: string, value: string])[]): string {
  const width = Math.max(0, ...rows.map(([key]) => key.length)) + 1
  return rows.map(([key, value]) => `${`${key}:`.padEnd(width)} ${value}`.trimEnd().concat('\n')).join('')
}

function alignLeft(line: readonly string[], widths: readonly number[]): string {
  return line
    .map((cell, column) => cell.padEnd(widths[column] ?? 0))
    .join('  ')
    .trimEnd()
}
