/**
 * JSON from outside, read by shape: each accessor checks what it hands out and names the place that is wrong.
 * What is not asked for is not looked at, as the formats read here all allow for more than one knows.
 */

/** Makes the error for a document that does not have its form; `reason` names the place. */
export type JsonFailure = (reason: string, cause?: unknown) => Error

/** @throws what `fail` makes, for bytes that are no JSON in UTF-8 */
export function parseJson(bytes: Uint8Array, fail: JsonFailure): JsonValue {
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
    return new JsonValue(value, '', fail)
  } catch (error) {
    throw fail('is not valid JSON', error)
  }
}

/** A value at some place of a document. `null` counts as absent everywhere, since Go writes it for empty lists. */
export class JsonValue {
  readonly #value: unknown
  readonly #place: string
  readonly #fail: JsonFailure

  constructor(value: unknown, place: string, fail: JsonFailure) {
    this.#value = value
    this.#place = place
    this.#fail = fail
  }

  get absent(): boolean {
    return this.#value === undefined || this.#value === null
  }

  get isString(): boolean {
    return typeof this.#value === 'string'
  }

  string(): string {
    return typeof this.#value === 'string' ? this.#value : this.#expected('a string')
  }

  boolean(): boolean {
    return typeof this.#value === 'boolean' ? this.#value : this.#expected('true or false')
  }

  /** A whole number from 0 to 2^53 - 1. */
  count(): number {
    const value = this.#value
    const fits = typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
    return fits ? value : this.#expected('a whole number')
  }

  list(): readonly JsonValue[] {
    if (this.absent) return []
    if (!Array.isArray(this.#value)) return this.#expected('a list')
    return this.#value.map((value: unknown, at) => new JsonValue(value, `${this.#place}[${at}]`, this.#fail))
  }

  strings(): readonly string[] {
    return this.list().map((value) => value.string())
  }

  entries(): readonly (readonly [key: string, value: JsonValue])[] {
    if (this.absent) return []
    return Object.entries(this.#object()).map(([key, value]: [string, unknown]) => [
      key,
      this.#at(key, value),
    ])
  }

  field(key: string): JsonValue {
    const value: unknown = Object.getOwnPropertyDescriptor(this.#object(), key)?.value
    return this.#at(key, value)
  }

  /** What `read` makes of the value, `undefined` where there is none. */
  optional<T>(read: (value: JsonValue) => T): T | undefined {
    return this.absent ? undefined : read(this)
  }

  /** A string that says something: the empty one counts as absent, as Go leaves it in for what was not set. */
  text(): string | undefined {
    if (this.absent) return undefined
    const text = this.string()
    return text === '' ? undefined : text
  }

  /** What `parse` makes of the string, its complaint becoming one about this place. */
  parsed<T>(parse: (text: string) => T): T {
    const text = this.string()
    try {
      return parse(text)
    } catch (error) {
      throw this.#fail(`${this.#subject()}: ${error instanceof Error ? error.message : String(error)}`, error)
    }
  }

  fail(reason: string): Error {
    return this.#fail(`${this.#subject()} ${reason}`)
  }

  #object(): object {
    const value = this.#value
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
    return isObject ? value : this.#expected('an object')
  }

  #at(key: string, value: unknown): JsonValue {
    return new JsonValue(value, this.#place === '' ? key : `${this.#place}.${key}`, this.#fail)
  }

  #subject(): string {
    return this.#place === '' ? 'the document' : `'${this.#place}'`
  }

  #expected(kind: string): never {
    throw this.#fail(`${this.#subject()} is ${this.absent ? 'missing' : `not ${kind}`}`)
  }
}
