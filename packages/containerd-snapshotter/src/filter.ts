/**
 * containerd's filters of lists (its package `filters`): `kind==active,labels."a.b"~=^x`. Parts of one filter, between commas,
 * must all hold; of several filters, one.
 */
import { SnapshotError } from './error.ts'
import type { SnapshotRecord } from './record.ts'

export type Predicate = (record: SnapshotRecord) => boolean

/** @throws SnapshotError `invalid` for what is no filter */
export function parseFilters(filters: readonly string[]): Predicate {
  const predicates = filters.filter((text) => text !== '').map(parseFilter)
  if (predicates.length === 0) return () => true
  return (record) => predicates.some((predicate) => predicate(record))
}

/** A field path, and perhaps an operator and a value; values and parts of paths may be in quotes. */
const part =
  /^\s*([A-Za-z_][\w]*(?:\.(?:[\w-]+|"(?:[^"\\]|\\.)*"))*)(?:(==|!=|~=)("(?:[^"\\]|\\.)*"|[^,"]*))?\s*(,|$)/

function parseFilter(text: string): Predicate {
  const parts: Predicate[] = []
  let rest = text
  for (let more = true; more;) {
    const found = part.exec(rest)
    if (found === null) throw new SnapshotError('invalid', `'${text}' is no filter, at '${rest}'`)
    const [whole, field = '', operator, value = '', separator] = found
    parts.push(comparison(pathOf(field), operator, unquoted(value), text))
    rest = rest.slice(whole.length)
    more = separator === ','
  }
  return (record) => parts.every((predicate) => predicate(record))
}

function comparison(
  field: readonly string[],
  operator: string | undefined,
  value: string,
  text: string,
): Predicate {
  const valueOf = (record: SnapshotRecord): string | undefined => fieldOf(record, field)
  if (operator === '==') return (record) => valueOf(record) === value
  if (operator === '!=') return (record) => (valueOf(record) ?? '') !== value
  if (operator === undefined) return (record) => valueOf(record) !== undefined
  let pattern: RegExp
  try {
    pattern = new RegExp(value)
  } catch (error) {
    throw new SnapshotError('invalid', `'${text}' has '${value}', which is no regular expression`, error)
  }
  return (record) => pattern.test(valueOf(record) ?? '')
}

function pathOf(field: string): readonly string[] {
  return Array.from(field.matchAll(/"(?:[^"\\]|\\.)*"|[^."]+/g), ([name]) => unquoted(name))
}

function unquoted(text: string): string {
  return text.startsWith('"') ? text.slice(1, -1).replaceAll(/\\(.)/g, '$1') : text.trim()
}

/** @returns undefined for a field that the snapshot does not have */
function fieldOf(record: SnapshotRecord, [first, ...rest]: readonly string[]): string | undefined {
  if (first === 'name') return record.key
  if (first === 'parent') return record.parent
  if (first === 'kind') return record.kind
  // A label's name may have dots that are not in quotes.
  return first === 'labels' ? record.labels[rest.join('.')] : undefined
}
