/** What the layers of benchmarks hold: the files of Docker's own driver benchmarks, so that numbers can be compared. */
import { directory, file, type Recipe } from '../conformance/recipe/step.ts'

/** Three files, one of them in a directory. */
export function fewFiles(seed: number): Recipe {
  return [
    file('file-a', { bytes: 64, seed }, { mode: 0o755 }),
    directory('dir-b'),
    file('dir-b/file-b', { bytes: 128, seed: seed + 1 }, { mode: 0o755 }),
    file('file-c', { bytes: 16_384, seed: seed + 2 }, { mode: 0o755 }),
  ]
}

/**
 * Files of 64 bytes, a hundred to a directory.
 *
 * @param present how many of them are below already, and are written anew
 */
export function manyFiles(count: number, seed: number, present = 0): Recipe {
  return Array.from({ length: count }, (_, at) => {
    const parent = `directory-${at - (at % 100)}`
    const written = file(`${parent}/file-${at}`, { bytes: 64, seed: seed + at }, { mode: 0o755 })
    return at % 100 === 0 && at >= present ? [directory(parent), written] : [written]
  }).flat()
}

/** For each of `count` layers a file that every layer replaces, and two in a directory of the layer's own. */
export function manyLayers(count: number): readonly Recipe[] {
  return Array.from({ length: count }, (_, at) => [
    file('top-id', `layer ${at + 1}`),
    directory(`layer-${at + 1}`),
    file(`layer-${at + 1}/layer-id`, `layer ${at + 1}`),
    file(`layer-${at + 1}/parent-id`, `layer ${at}`),
  ])
}
