/** One driver's power cuts. */
import type { Durability } from '@graphdriver/layer-store'
import type { RecordedKind } from '@tooling/lab'
import { filesystemOf } from './place.ts'
import { cutStates, recordLife, tryState } from './power.ts'
import type { CutRow } from './report.ts'
import { numberedSample } from './sample.ts'

export interface CutRequest {
  readonly driver: string
  /** Parts of what is written after a flush that are tried, beside none of it. */
  readonly subsets: number
  /** How many states; by default all. */
  readonly sample?: number | undefined
  readonly seed: string
  /** Of the store; anything but `safe` has to be found to lose something. */
  readonly durability?: Durability | undefined
  readonly onProblem: (what: string) => void
}

/** Which filesystem a driver's disk is recorded on. */
export function recordedKindOf(driver: string): RecordedKind {
  const kind = filesystemOf(driver)
  if (kind === 'ext4' || kind === 'xfs' || kind === 'btrfs') return kind
  throw new Error(`${driver} is on ${kind}, which has no disk`)
}

export async function runCuts({
  driver,
  subsets,
  sample,
  seed,
  durability,
  onProblem,
}: CutRequest): Promise<CutRow> {
  const filesystem = recordedKindOf(driver)
  await using life = await recordLife(driver, filesystem, durability)
  const { epochs } = life.recording
  const all = [...cutStates(life.recording, subsets, seed)]
  const chosen = numberedSample(all, sample ?? all.length, `${seed} ${driver}`)
  let bad = 0
  for (const { number, point } of chosen) {
    const problems = await tryState(life, point)
    if (problems.length === 0) continue
    bad += 1
    onProblem(
      `${driver}, state ${number}: flush ${point.epoch} and ${point.writes.length} writes\n  ${problems.join('\n  ')}`,
    )
  }
  return {
    driver,
    filesystem,
    flushes: epochs.length,
    writes: epochs.reduce((total, { writes }) => total + writes.length, 0),
    states: chosen.length,
    bad,
  }
}
