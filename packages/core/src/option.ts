/** Parsers for the option values that drivers share, with the grammar Docker documents. */
import type { Capabilities } from './capabilities.ts'
import type { DriverOptions } from './definition.ts'
import type { Quota } from './driver.ts'
import { GraphDriverError } from './error.ts'

const sizeForm = /^(\d+(?:\.\d+)*) ?([kmgtp])?i?b?$/i
const multipliers: Readonly<Record<string, number>> = {
  '': 1,
  k: 1024,
  m: 1024 ** 2,
  g: 1024 ** 3,
  t: 1024 ** 4,
  p: 1024 ** 5,
}

/**
 * Bytes from a size such as `10G`, `512m`, `1.5 GiB`; units are powers of 1024.
 *
 * @throws GD_INVALID_OPTION
 */
export function parseSize(option: string, value: string): number {
  const match = sizeForm.exec(value.trim())
  const factor = multipliers[match?.[2]?.toLowerCase() ?? '']
  const bytes = Math.trunc(Number(match?.[1]) * (factor ?? Number.NaN))
  if (!Number.isSafeInteger(bytes)) {
    throw new GraphDriverError(
      'GD_INVALID_OPTION',
      `option ${option}: invalid size '${value}'; write a number and a unit, such as 10G`,
      { option, value },
    )
  }
  return bytes
}

const truths = new Set(['1', 't', 'T', 'TRUE', 'true', 'True'])
const lies = new Set(['0', 'f', 'F', 'FALSE', 'false', 'False'])

/** @throws GD_INVALID_OPTION */
export function parseBoolean(option: string, value: string): boolean {
  if (truths.has(value)) return true
  if (lies.has(value)) return false
  throw new GraphDriverError('GD_INVALID_OPTION', `option ${option}: '${value}' is neither true nor false`, {
    option,
    value,
  })
}

/**
 * The limits in the options of a layer or of a driver: `size`, in bytes with a unit, and `inodes`, a number. Zero is no
 * limit that anything could be kept to.
 *
 * @throws GD_INVALID_OPTION naming the subject
 */
export function parseQuota(subject: string, options: DriverOptions): Quota {
  return {
    ...(options['size'] === undefined
      ? {}
      : { size: parseLimit(subject, 'size', options['size'], parseSize) }),
    ...(options['inodes'] === undefined
      ? {}
      : { inodes: parseLimit(subject, 'inodes', options['inodes'], parseCount) }),
  }
}

/**
 * Refuses limits that nothing could be kept to.
 *
 * @throws GD_INVALID_OPTION naming the subject
 */
export function checkQuota(subject: string, { size, inodes }: Quota): void {
  for (const [option, limit] of [
    ['size', size],
    ['inodes', inodes],
  ] as const) {
    if (limit === undefined || (Number.isSafeInteger(limit) && limit > 0)) continue
    throw new GraphDriverError(
      'GD_INVALID_OPTION',
      `${subject}: ${option} ${limit} must be a whole number, and more than nothing`,
      { option, value: String(limit) },
    )
  }
}

function parseLimit(
  subject: string,
  option: string,
  value: string,
  parse: (option: string, value: string) => number,
): number {
  const limit = parse(option, value)
  if (limit > 0) return limit
  throw new GraphDriverError(
    'GD_INVALID_OPTION',
    `${subject}: ${option} '${value}' must be more than nothing; leave it out for no limit`,
    { option, value },
  )
}

function parseCount(option: string, value: string): number {
  const count = /^\d+$/.test(value) ? Number(value) : Number.NaN
  if (Number.isSafeInteger(count)) return count
  throw new GraphDriverError('GD_INVALID_OPTION', `option ${option}: '${value}' is no whole number`, {
    option,
    value,
  })
}

/**
 * Refuses every key that is not in `known`.
 *
 * @throws GD_INVALID_OPTION naming the driver and the key
 */
export function rejectUnknownOptions(driver: string, options: DriverOptions, known: readonly string[]): void {
  for (const option of Object.keys(options)) {
    if (known.includes(option)) continue
    const choice = known.length === 0 ? 'it has none' : `it knows ${known.join(', ')}`
    throw new GraphDriverError('GD_INVALID_OPTION', `${driver}: unknown option '${option}'; ${choice}`, {
      option,
      value: options[option],
    })
  }
}

/**
 * One `key=value` from a command line.
 *
 * @throws GD_INVALID_OPTION
 */
export function parseKeyValue(text: string): readonly [key: string, value: string] {
  const split = text.indexOf('=')
  if (split <= 0) {
    throw new GraphDriverError('GD_INVALID_OPTION', `option '${text}' is not of the form key=value`, {
      option: text,
    })
  }
  return [text.slice(0, split).trim(), text.slice(split + 1).trim()]
}

/**
 * The SELinux context that a mount is to have: what was asked for, where labels have an effect.
 *
 * @throws GD_INVALID_OPTION for what would end the option of mount(2) that it is in
 */
export function mountLabelOf(
  subject: string,
  label: string | undefined,
  { mountLabel: effective }: Pick<Capabilities, 'mountLabel'>,
): string | undefined {
  if (!effective || label === undefined || label === '') return undefined
  if (/^[^"\\\0]+$/.test(label)) return label
  throw new GraphDriverError('GD_INVALID_OPTION', `${subject}: '${label}' is no SELinux context`, {
    option: 'mountLabel',
    value: label,
  })
}
