/** Tries inputs, keeps those that reach something new, and tells which do harm. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { randomOf } from '../random.ts'
import { Coverage } from './coverage.ts'
import { mutate } from './mutate.ts'
import type { Target } from './target.ts'

export interface FuzzRequest {
  /** Ends when so many were tried, or after so long. */
  readonly executions: number
  readonly seconds: number
  readonly seed: string
  /** Inputs that once did harm: each is tried first. */
  readonly known: readonly Buffer[]
  /** Hears of each input before it is read, so that one that never ends is known. */
  readonly onInput: (input: Buffer) => void
}

export interface Harm {
  readonly input: Buffer
  readonly reason: string
}

export interface FuzzResult {
  readonly executions: number
  /** Inputs that reached something new. */
  readonly corpus: number
  /** Blocks of our code that ran. */
  readonly blocks: number
  readonly harms: readonly Harm[]
}

/** Inputs between two looks at the coverage, which take as long as many inputs. */
const batch = 50
/** Bytes of memory beside V8's own heap that reading may take. */
const mostMemory = 1024 * 1024 * 1024

/** What nobody needs any more does not count. */
function collectGarbage(): void {
  setFlagsFromString('--expose-gc')
  const collect: unknown = runInNewContext('gc')
  if (typeof collect === 'function') Reflect.apply(collect, undefined, [])
}

export async function fuzz(target: Target, request: FuzzRequest): Promise<FuzzResult> {
  const random = randomOf(`${request.seed} ${target.name}`)
  await using open = await target.open()
  using coverage = await Coverage.start()
  const seeds = await target.seeds(random)
  const corpus: Buffer[] = [...seeds]
  const harms: Harm[] = []
  let executions = 0
  const execute = async (input: Buffer): Promise<void> => {
    executions += 1
    request.onInput(input)
    try {
      await open.read(Buffer.from(input))
    } catch (error) {
      harms.push({ input, reason: error instanceof Error ? (error.stack ?? error.message) : String(error) })
    }
  }
  for (const input of [...request.known, ...seeds]) await execute(input)
  const seen = new Set(await coverage.take())
  const end = performance.now() + request.seconds * 1000
  while (executions < request.executions && performance.now() < end && harms.length < 10) {
    const inputs = Array.from({ length: batch }, () => {
      const one = corpus[Math.floor(random() * corpus.length)] ?? Buffer.alloc(0)
      const other = corpus[Math.floor(random() * corpus.length)] ?? one
      return mutate(one, other, target.words, random)
    })
    for (const input of inputs) await execute(input)
    const fresh = new Set((await coverage.take()).filter((block) => !seen.has(block)))
    // Which of them it was is found by trying each alone.
    for (const input of fresh.size > 0 ? inputs : []) {
      await execute(input)
      const reached = (await coverage.take()).filter((block) => fresh.delete(block))
      for (const block of reached) seen.add(block)
      if (reached.length > 0) corpus.push(input)
      if (fresh.size === 0) break
    }
    for (const block of fresh) seen.add(block)
    if (process.memoryUsage().external > mostMemory) collectGarbage()
    const { external } = process.memoryUsage()
    if (external > mostMemory) {
      harms.push({
        input: inputs.at(-1) ?? Buffer.alloc(0),
        reason: `${external} bytes of memory are in use`,
      })
      break
    }
  }
  return { executions, corpus: corpus.length, blocks: seen.size, harms }
}
