/** Fuzzes one target in a thread that is watched. */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import type { FuzzResult, Harm } from './loop.ts'
import { currentHead, type FuzzWork } from './work.ts'

const worker = new URL('./worker.ts', import.meta.url)
const corpus = fileURLToPath(new URL('../../corpus', import.meta.url))

/** Milliseconds that one input may take, on a machine that has more to do. */
const patience = 30_000
const mostHeapMiB = 768
const mostInput = 1024 * 1024

export interface FuzzOptions {
  readonly executions: number
  readonly seconds: number
  readonly seed: string
}

/** Inputs of a target that once did harm. */
export function knownInputs(target: string): readonly Buffer[] {
  const directory = path.join(corpus, target)
  if (!existsSync(directory)) return []
  return readdirSync(directory)
    .toSorted()
    .map((name) => readFileSync(path.join(directory, name)))
}

/** Keeps an input, for each later run to begin with. @returns where */
export function keepInput(target: string, input: Buffer): string {
  const file = path.join(corpus, target, createHash('sha256').update(input).digest('hex').slice(0, 16))
  mkdirSync(path.dirname(file), { recursive: true })
  writeFileSync(file, input)
  return file
}

export async function fuzzTarget(target: string, options: FuzzOptions): Promise<FuzzResult> {
  const current = new SharedArrayBuffer(currentHead + mostInput)
  const numbers = new Uint32Array(current, 0, 2)
  const workerData: FuzzWork = { target, known: knownInputs(target), current, ...options }
  const thread = new Worker(worker, {
    workerData,
    resourceLimits: { maxOldGenerationSizeMb: mostHeapMiB },
    // Files that are opened by the system's own calls are closed by Node.
    trackUnmanagedFds: false,
  })
  const { promise, resolve } = Promise.withResolvers<FuzzResult>()
  const harmed = (reason: string): void => {
    const input = Buffer.from(new Uint8Array(current, currentHead, numbers[0])).subarray()
    const harm: Harm = { input: Buffer.from(input), reason }
    resolve({ executions: numbers[1] ?? 0, corpus: 0, blocks: 0, harms: [harm] })
  }
  let before = -1
  const watch = setInterval(() => {
    if (numbers[1] === before) harmed(`it was not read within ${patience} ms`)
    before = numbers[1] ?? 0
  }, patience)
  thread.on('message', (result: FuzzResult) => {
    resolve({
      ...result,
      harms: result.harms.map(({ input, reason }) => ({ input: Buffer.from(input), reason })),
    })
  })
  thread.on('error', (error) => harmed(`the thread has died: ${String(error)}`))
  try {
    return await promise
  } finally {
    clearInterval(watch)
    await thread.terminate()
  }
}
