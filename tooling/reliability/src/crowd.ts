/** Many processes on one store, some of which are killed; afterwards all that any of them was told is true. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Deed } from './crowd-member.ts'
import type { Inputs } from './inputs.ts'
import { load } from './operation.ts'
import { randomOf } from './random.ts'
import { openRoot } from './root.ts'
import { damagesOf, reset, shapeDifference, shapeOf } from './state.ts'

export interface CrowdRequest {
  readonly driver: string
  /** An empty directory; journals are put beside it. */
  readonly root: string
  readonly inputs: Inputs
  readonly processes: number
  readonly seconds: number
  /** How many are killed, and replaced. */
  readonly kills: number
  readonly seed: string
}

export interface CrowdResult {
  readonly driver: string
  readonly processes: number
  readonly seconds: number
  readonly killed: number
  /** How often each thing was done. */
  readonly deeds: Readonly<Record<Deed['kind'], number>>
  /** Milliseconds: of the longest look at what there is, and the longest wait to change something. */
  readonly longestRead: number
  readonly longestWait: number
  /** Changes of the process that came to do the fewest, and of the one that did the most, of those that lived to the end. */
  readonly fewest: number
  readonly most: number
  readonly problems: readonly string[]
}

const member = fileURLToPath(new URL('./crowd-member.ts', import.meta.url))
/** Seconds that the last ones may take to end what they are at. */
const grace = 60

interface Member {
  readonly journal: string
  readonly ended: Promise<{
    readonly code: number | null
    readonly signal: NodeJS.Signals | null
    readonly errors: string
  }>
  readonly kill: () => void
  isKilled: boolean
}

export async function runCrowd(request: CrowdRequest): Promise<CrowdResult> {
  const { driver, root, inputs, processes, seconds, kills, seed } = request
  {
    await using opened = await openRoot(driver, root)
    await load(opened, inputs.base)
  }
  const shape = await shapeWhenUsed(driver, root, inputs)
  const random = randomOf(seed)
  const begin = performance.now()
  const left = (): number => Math.max(1, seconds - (performance.now() - begin) / 1000)
  const members: Member[] = []
  const start = (): Member => {
    const journal = `${root}.journal-${members.length}`
    const args = [
      member,
      driver,
      root,
      String(left()),
      `${seed} ${members.length}`,
      JSON.stringify(inputs),
      journal,
    ]
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] })
    const ended = Promise.all([once(child, 'close'), text(child.stderr)]).then(([, errors]) => ({
      code: child.exitCode,
      signal: child.signalCode,
      errors,
    }))
    const one = { journal, ended, kill: () => void child.kill('SIGKILL'), isKilled: false }
    members.push(one)
    return one
  }
  const living = Array.from({ length: processes }, start)
  for (let killed = 0; killed < kills; killed++) {
    await setTimeout(((seconds * 1000) / (kills + 1)) * (0.5 + random()))
    if (left() <= 2) break
    const at = Math.floor(random() * living.length)
    const victim = living[at]
    if (victim === undefined) break
    victim.isKilled = true
    victim.kill()
    living[at] = start()
  }
  const problems: string[] = []
  const timer = globalThis.setTimeout(
    () => {
      problems.push(`some were not done ${grace} seconds after their time`)
      for (const one of members) one.kill()
    },
    (left() + grace) * 1000,
  )
  const endings = await Promise.all(members.map(({ ended }) => ended))
  clearTimeout(timer)
  for (const [index, { code, signal, errors }] of endings.entries())
    if (members[index]?.isKilled === false && code !== 0)
      problems.push(`process ${index} ended with ${String(code ?? signal)}: ${errors}`)
  const journals = await Promise.all(members.map(({ journal }) => deedsIn(journal)))
  const killed = members.map(({ isKilled }) => isKilled)
  problems.push(...(await examine(driver, root, promised(journals, killed), shape)))
  const changes = journals
    .filter((_, index) => members[index]?.isKilled === false && index < processes)
    .map((deeds) => deeds.filter(({ kind }) => kind === 'waited').length)
  return {
    driver,
    processes,
    seconds,
    killed: members.filter(({ isKilled }) => isKilled).length,
    deeds: tallied(journals.flat()),
    longestRead: longest(journals.flat(), 'read'),
    longestWait: longest(journals.flat(), 'waited'),
    fewest: Math.min(...changes),
    most: Math.max(...changes),
    problems,
  }
}

/** What is there for good once everything was done once. */
async function shapeWhenUsed(driver: string, root: string, inputs: Inputs): Promise<readonly string[]> {
  {
    await using opened = await openRoot(driver, root)
    await load(opened, inputs.image)
    await opened.layers.createRWLayer('first', opened.layers.layers()[0]?.chainId)
    await reset(opened)
  }
  return shapeOf(root)
}

/** The last line of one that was killed may be cut short. */
async function deedsIn(journal: string): Promise<readonly Deed[]> {
  if (!existsSync(journal)) return []
  const lines = (await readFile(journal, 'utf8')).split('\n').slice(0, -1)
  return lines.map((line) => JSON.parse(line) as Deed)
}

async function examine(
  driver: string,
  root: string,
  expected: ReadonlyMap<string, string | undefined>,
  shape: readonly string[],
): Promise<readonly string[]> {
  const problems: string[] = []
  {
    await using opened = await openRoot(driver, root)
    problems.push(...(await damagesOf(opened)))
    for (const [name, content] of expected) {
      try {
        const writable = await opened.layers.getRWLayer(name)
        if (content === undefined) continue
        await using mount = await writable.mount()
        const found = readFileSync(path.join(mount.path, 'own'), 'utf8')
        if (found !== content) problems.push(`writable layer ${name} has '${found}' and not '${content}'`)
      } catch (error) {
        problems.push(`writable layer ${name}: ${String(error)}`)
      }
    }
    await reset(opened)
  }
  problems.push(...shapeDifference(shapeOf(root), shape))
  return problems
}

/** Writable layers that were made and not removed; with what is in them, unless its process was killed, perhaps while it wrote. */
function promised(
  journals: readonly (readonly Deed[])[],
  killed: readonly boolean[],
): ReadonlyMap<string, string | undefined> {
  const names = new Map<string, string | undefined>()
  for (const [index, deeds] of journals.entries()) {
    for (const deed of deeds) {
      if (deed.kind === 'made') names.set(deed.name, undefined)
      else if (deed.kind === 'wrote') names.set(deed.name, killed[index] === true ? undefined : deed.content)
      else if (deed.kind === 'removed') names.delete(deed.name)
    }
  }
  return names
}

function tallied(deeds: readonly Deed[]): Readonly<Record<Deed['kind'], number>> {
  const counts = { made: 0, removed: 0, wrote: 0, committed: 0, loaded: 0, deleted: 0, read: 0, waited: 0 }
  for (const { kind } of deeds) counts[kind] += 1
  return counts
}

function longest(deeds: readonly Deed[], kind: 'read' | 'waited'): number {
  return Math.round(Math.max(0, ...deeds.map((deed) => (deed.kind === kind ? deed.milliseconds : 0))))
}
