/**
 * A process that waits until it is told to begin, and from then on is stopped at a system call of choice: killed before it, or
 * given an error in its place. What it does before it begins, which is most of its life, costs nothing and counts for nothing.
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { text } from 'node:stream/consumers'

/** What happens at a call: death, or an error of the system, such as `EIO`. */
export type Fault = 'kill' | 'EIO' | 'ENOSPC' | 'EMFILE' | 'EINTR'

export interface FaultPoint {
  readonly fault: Fault
  /** A system call, such as `mkdirat`. */
  readonly call: string
  /** Which one, from 1 on; each thread counts for itself, and the first that comes so far is it. */
  readonly at: number
}

/** How it ended: by the fault, or with what it had to say; or not within the time. */
export interface Ending {
  readonly by: 'fault' | 'itself' | 'timeout'
  /** The line that it wrote on standard output after it had begun. */
  readonly output: string
  readonly errors: string
}

/** Milliseconds that strace has to tell of the end. */
const farewell = 5_000

/** Milliseconds: longer than any operation takes, on a machine that has more to do. */
const patience = 60_000

export class SteppedProcess implements AsyncDisposable {
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>
  readonly #ready: Promise<void>
  readonly #closed: Promise<unknown>
  readonly #errors: Promise<string>
  #output = ''

  /** @param command a script for the Node that runs this one, and its arguments; it prints `ready`, waits for a line, and prints one when it is done */
  constructor(command: readonly string[]) {
    this.#child = spawn(process.execPath, command, {
      stdio: ['pipe', 'pipe', 'pipe'],
      // Thousands of them start, and each would compile the same.
      env: { ...process.env, NODE_COMPILE_CACHE: path.join(tmpdir(), 'graphdriver-compiled') },
    })
    this.#closed = once(this.#child, 'close')
    this.#errors = text(this.#child.stderr)
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      this.#output += chunk
      if (this.#output === 'ready\n') resolve()
      // It is ended when it has said what became of it: how Node ends is not what is looked at.
      else if (this.#output.endsWith('\n')) this.#child.kill('SIGKILL')
    })
    void this.#closed.then(async () =>
      reject(new Error(`${command.join(' ')} ended early: ${await this.#errors}`)),
    )
    this.#ready = promise
    // It may be disposed without ever being used.
    promise.catch(() => undefined)
  }

  /** Lets it do its work, with the fault. */
  meet({ fault, call, at }: FaultPoint): Promise<Ending> {
    const what = fault === 'kill' ? 'signal=SIGKILL' : `error=${fault}`
    return this.#run(['-e', `trace=${call}`, '-e', `inject=${call}:${what}:when=${at}`, '-o', '/dev/null'])
  }

  /** Lets it do its work undisturbed. @returns how often one thread makes each of the calls, at the most */
  async count(calls: readonly string[], scratch: string): Promise<ReadonlyMap<string, number>> {
    const ending = await this.#run([
      '-e',
      `trace=${calls.map((call) => `?${call}`).join(',')}`,
      '-o',
      scratch,
    ])
    if (ending.by !== 'itself') throw new Error(`the process ended early: ${ending.errors}`)
    return mostByOneThread(readFileSync(scratch, 'latin1'))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#closed
  }

  async #run(options: readonly string[]): Promise<Ending> {
    await this.#ready
    const { pid } = this.#child
    if (pid === undefined) throw new Error('the process was not started')
    const tracer = spawn('strace', ['-f', '-p', String(pid), ...options], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    await attached(tracer.stderr)
    const gone = once(tracer, 'close')
    this.#output = ''
    this.#child.stdin.end('go\n')
    let late = false
    const timer = setTimeout(() => {
      late = true
      this.#child.kill('SIGKILL')
    }, patience)
    await this.#closed
    // What it has started may live on, and be followed: a program that has mounted something, for one.
    const follower = setTimeout(() => tracer.kill('SIGKILL'), farewell)
    await gone
    clearTimeout(follower)
    clearTimeout(timer)
    const isTold = this.#output.endsWith('\n')
    const by = late ? 'timeout' : isTold ? 'itself' : 'fault'
    return { by, output: this.#output, errors: await this.#errors }
  }
}

/** strace says so once it has all threads. */
async function attached(messages: Readable): Promise<void> {
  let heard = ''
  for await (const chunk of messages.iterator({ destroyOnReturn: false })) {
    heard += String(chunk)
    if (/Process \d+ attached/.test(heard)) {
      messages.resume()
      return
    }
  }
  throw new Error(`strace could not attach: ${heard}`)
}

/** From what strace writes: `PID  call(…`. */
function mostByOneThread(trace: string): ReadonlyMap<string, number> {
  const counts = new Map<string, number>()
  for (const [, pid, call] of trace.matchAll(/^(\d+) +(\w+)\(/gm)) {
    const key = `${call} ${pid}`
    counts.set(key, (counts.get(key) ?? 0) + 1)
  }
  const most = new Map<string, number>()
  for (const [key, count] of counts) {
    const call = key.slice(0, key.indexOf(' '))
    most.set(call, Math.max(most.get(call) ?? 0, count))
  }
  return most
}
