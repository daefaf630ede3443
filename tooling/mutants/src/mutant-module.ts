/** A mutant as a module, for a process that has to import its driver. The query says which: `?does=forgets…`. */
import { definitionOf, type Mutant } from './mutant.ts'
import { mutants } from './mutants.ts'

/** What another process imports to have a mutant. */
export function moduleOf({ does }: Mutant): URL {
  const url = new URL('./mutant-module.ts', import.meta.url)
  url.searchParams.set('does', does)
  return url
}

const wanted = new URL(import.meta.url).searchParams.get('does')

export default definitionOf(
  mutants.find(({ does }) => does === wanted) ?? { does: 'nothing wrong', caughtBy: [] },
)
