/** Layers are unpacked while another process puts links to the outside in the place of their directories. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { TreeWorkers } from '@graphdriver/archive'
import { inChunks, rawTar } from '@graphdriver/core/conformance'
import { outside } from './fuzz/outside.ts'
import { refusingOnHost } from './fuzz/target.ts'

export interface RaceResult {
  /** How often a tar was unpacked. */
  readonly applied: number
  readonly seconds: number
  readonly problems: readonly string[]
}

const swapper = fileURLToPath(new URL('./race-swapper.ts', import.meta.url))

const tar = rawTar(
  { name: 'a/', type: '5' },
  ...Array.from({ length: 20 }, (_, index) => ({ name: `a/x${index}`, data: 'planted' })),
  { name: 'a/b/', type: '5' },
  { name: 'a/b/deep', data: 'planted' },
  { name: 'a/.wh.x' },
  { name: 'a/b/.wh..wh..opq' },
  { name: 'a/passwd', data: 'planted' },
  { name: 'a/hard', type: '1', link: 'a/b/deep' },
)

export async function runRace(seconds: number): Promise<RaceResult> {
  using place = outside()
  await using workers = new TreeWorkers({ threads: 2 })
  const child = spawn(process.execPath, [swapper, place.root, place.victim], { stdio: 'ignore' })
  const problems: string[] = []
  let applied = 0
  try {
    const end = performance.now() + seconds * 1000
    while (performance.now() < end && problems.length === 0) {
      for (const whiteouts of ['remove', { format: 'overlay', xattr: 'trusted' }] as const) {
        // What it meets may be gone the next moment.
        await refusingOnHost(() => workers.apply(place.root, inChunks(tar, 700), { whiteouts })).catch(
          () => undefined,
        )
        applied += 1
      }
      try {
        place.verify()
      } catch (error) {
        problems.push(String(error))
      }
    }
  } finally {
    child.kill('SIGKILL')
    await once(child, 'close')
  }
  return { applied, seconds, problems }
}
