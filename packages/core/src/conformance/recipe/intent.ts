/**
 * What a generated recipe wants to do, before it is known what there is to do it to. Random intents mean something
 * in every tree, so that a failing list of them can be made shorter: what is left is resolved anew.
 */
import { type Arbitrary, array, constantFrom, nat, noBias, noShrink, record } from 'fast-check'

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

/**
 * Lists of intents. They shrink by losing members only: a choice among paths is no simpler for being a smaller
 * number, and every attempt costs a stack of layers.
 */
export function intents(): Arbitrary<readonly Intent[]> {
  const choices = Object.entries(verbs).flatMap(([verb, often]) =>
    isVerb(verb) ? Array.from({ length: often }, () => verb) : [],
  )
  const intent = record({
    verb: constantFrom(...choices),
    first: nat(999),
    second: nat(999),
    value: nat(999),
  })
  return noBias(array(noShrink(intent), { minLength: 1, maxLength: longest, size: 'max' }))
}
