/** What a layer tar makes of a layer, and what it must not. */
import { casesOf, type ConformanceCase } from '../case.ts'
import { breakouts } from './apply-breakout.ts'
import { damages } from './apply-damage.ts'
import { formats } from './apply-format.ts'
import { replacements } from './apply-replacement.ts'
import { streams } from './apply-stream.ts'
import { trees } from './apply-tree.ts'
import { whiteouts } from './apply-whiteout.ts'

export const apply: readonly ConformanceCase[] = casesOf(
  'apply',
  ...trees,
  ...whiteouts,
  ...replacements,
  ...formats,
  ...streams,
  ...breakouts,
  ...damages,
)
