/**
 * What a generated recipe wants to do, before it is known what there is to do it to. Random intents mean something
 * in every tree, so that a failing list of them can be made shorter: what is left is resolved anew.
 */
import {
  Arbitrary,
  array,
  constantFrom,
  nat,
  type Random,
  record,
  type Stream,
  stream,
  Value,
} from 'fast-check'

/** How often each verb comes up. `layer` begins the next layer. */
const verbs = {
  layer: 2,
  file: 5,
  rewrite: 2,
  append: 2,
  directory: 5,
  symlink: 2,
  link: 4,
  rename: 4,
  remove: 4,
  attributes: 4,
  replace: 3,
  recreate: 2,
  xattr: 1,
  device: 1,
  fifo: 1,
} as const

export type Verb = keyof typeof verbs

/** What may do as well as a verb that takes several steps, or that tests need not begin with. */
const simplerVerbs: Readonly<Partial<Record<Verb, readonly Verb[]>>> = {
  replace: ['directory', 'remove'],
  recreate: ['directory', 'remove'],
  rename: ['directory', 'file'],
  symlink: ['file'],
  link: ['file'],
  device: ['file'],
  fifo: ['file'],
}

export interface Intent {
  readonly verb: Verb
  /** Which of the paths that can be meant. */
  readonly first: number
  /** Which of the second paths, for verbs that take two. */
  readonly second: number
  /** What is written. */
  readonly value: number
}

const longest = 120

function isVerb(text: string): text is Verb {
  return text in verbs
}

/** How far shrinking has come: the size of what is taken out, and where next. */
class Progress {
  readonly size: number
  readonly at: number

  constructor(size: number, at: number) {
    this.size = size
    this.at = at
  }
}

/**
 * Lists of intents. They shrink by losing members, first halves, then smaller and smaller pieces, and at last by simpler
 * verbs. A choice among paths is no simpler for being a smaller number, and every attempt costs a stack of layers.
 */
class IntentLists extends Arbitrary<readonly Intent[]> {
  readonly #lists: Arbitrary<Intent[]>

  constructor(intent: Arbitrary<Intent>) {
    super()
    this.#lists = array(intent, { minLength: 1, maxLength: longest, size: 'max' })
  }

  override generate(random: Random): Value<readonly Intent[]> {
    // Without bias to short lists and small numbers, which mean nothing here.
    return new Value(this.#lists.generate(random, undefined).value, undefined)
  }

  override canShrinkWithoutContext(_: unknown): _ is readonly Intent[] {
    return false
  }

  override shrink(list: readonly Intent[], context: unknown): Stream<Value<readonly Intent[]>> {
    return stream(shorter(list, context instanceof Progress ? context : new Progress(half(list.length), 0)))
  }
}

function half(length: number): number {
  return Math.ceil(length / 2)
}

/**
 * A piece that could be taken out is followed by what then stands in its place. Single ones are tried in a circle,
 * until none can be spared: what one needs, another may have been the reason for.
 */
function* shorter(
  list: readonly Intent[],
  progress: Progress,
): Generator<Value<readonly Intent[]>, void, undefined> {
  let { at } = progress
  for (let { size } = progress; size > 1; size = half(size)) {
    for (; at < list.length; at += size) yield without(list, size, at)
    at = 0
  }
  for (let index = 0; index < list.length; index++) yield without(list, 1, (at + index) % list.length)
  yield* simpler(list)
}

function* simpler(list: readonly Intent[]): Generator<Value<readonly Intent[]>, void, undefined> {
  for (const [index, intent] of list.entries()) {
    for (const verb of simplerVerbs[intent.verb] ?? []) {
      yield new Value(list.with(index, { ...intent, verb }), new Progress(1, 0))
    }
  }
}

function without(list: readonly Intent[], size: number, at: number): Value<readonly Intent[]> {
  return new Value(list.toSpliced(at, size), new Progress(size, at))
}

/** Any list of intents, short and long ones alike. */
export function intents(): Arbitrary<readonly Intent[]> {
  const choices = Object.entries(verbs).flatMap(([verb, often]) =>
    isVerb(verb) ? Array.from({ length: often }, () => verb) : [],
  )
  const verb = constantFrom(...choices)
  return new IntentLists(record({ verb, first: nat(999), second: nat(999), value: nat(999) }))
}
