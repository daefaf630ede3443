/** What `main.ts` is called with to be process 1 of a container; no command of people's has such a name. */
export const initVerb = '__init'

/** What it is called with by the scripts of `graphdriver completion`. */
export const completionVerb = 'complete'
