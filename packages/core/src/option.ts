/** Parsers for the option values that drivers share, with the grammar Docker documents. */
import type { DriverOptions } from './definition.ts'
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
 * Refuses a `size`, for drivers that cannot keep to one: ignoring a limit would be worse.
 *
 * @throws GD_INVALID_OPTION naming the subject
 */
export function rejectSize(subject: string, options: DriverOptions): void {
  const value = options['size']
  if (value === undefined) return
  throw new GraphDriverError(
    'GD_INVALID_OPTION',
    `${subject}: option 'size' needs quotas, which this driver does not set yet; leave it out, ` +
      'or limit the volume that holds the data root',
    { option: 'size', value },
  )
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
