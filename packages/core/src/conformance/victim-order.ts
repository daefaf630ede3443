/** What a process to be killed is told, what it says, and what it makes: shared by it and by whoever kills it. */
import type { DriverOptions } from '../definition.ts'
import { append, contentBytes, directory, file, type Recipe } from './recipe/step.ts'
import { entryBlocks } from './tar/raw-tar.ts'

/** `layers`: makes, mounts and removes some; `apply`: fills `target` on `base`; `remove`: removes `target`. */
export type Scenario = 'layers' | 'apply' | 'remove'

export interface Order {
  readonly module: string
  readonly root: string
  readonly options: DriverOptions
  readonly scenario: Scenario
}

/** `step` is said before, `whole` and `gone` after; the rest of the line is what it is about. */
export type Word = 'step' | 'whole' | 'gone'

/** What a layer of `layers` has when it is whole; an odd one stands on the even one before it. */
export function recipeOf(layer: number): Recipe {
  const own = file(`own${layer}`, { bytes: 20_000, seed: layer })
  return layer % 2 === 0 ? [directory('d'), file('d/f', 'below'), own] : [append('d/f', 'above'), own]
}

/** How many files the tar has that `apply` is given. */
export const appliedFiles = 200

export function appliedContent(index: number): Buffer {
  return contentBytes({ bytes: 20_000, seed: index })
}

/** The tar that `apply` is given, file by file. */
export function* appliedTar(): Generator<Buffer, void, void> {
  for (let index = 0; index < appliedFiles; index++) {
    yield entryBlocks({ name: `file${index}`, data: appliedContent(index) })
  }
  yield Buffer.alloc(1024)
}

/** The program, as it was built or, from source, as it is. */
export function victimProgram(): URL {
  const file = import.meta.url.endsWith('.ts') ? './victim.ts' : './conformance/victim.js'
  return new URL(file, import.meta.url)
}
