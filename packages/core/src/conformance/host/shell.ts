/**
 * A shell that starts programs for this process.
 *
 * Starting one from here means copying the page tables of a whole test run first, hundreds of megabytes: that takes
 * longer than what most of the programs do. A shell has next to nothing to copy.
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { Socket } from 'node:net'
import type { Readable, Writable } from 'node:stream'

export interface Finished {
  /** As shells have it: 128 and the signal's number for one that was killed, 127 for one that is not there. */
  readonly status: number
  readonly stdout: Buffer
  readonly stderr: Buffer
}

function quote(word: string): string {
  return `'${word.replaceAll("'", String.raw`'\''`)}'`
}

/** What a stream gives until the mark, which comes at its end. */
function untilMark(stream: Readable, text: string): Promise<Buffer> {
  const mark = Buffer.from(text)
  const chunks: Buffer[] = []
  return new Promise((resolve, reject) => {
    const settle = (): void => {
      stream.off('data', read).off('close', lost)
    }
    const read = (chunk: Buffer): void => {
      chunks.push(chunk)
      const all = Buffer.concat(chunks)
      if (!all.subarray(-mark.length).equals(mark)) return
      settle()
      resolve(all.subarray(0, -mark.length))
    }
    const lost = (): void => {
      settle()
      reject(new Error('the shell that starts the programs of the suite has ended'))
    }
    stream.on('data', read).on('close', lost)
  })
}

export class Shell {
  readonly #process: ChildProcessByStdio<Writable, Readable, Readable>
  readonly #mark = `#${randomUUID()}#`
  #busy = false

  constructor(env: NodeJS.ProcessEnv) {
    this.#process = spawn('sh', { env, stdio: 'pipe', cwd: '/' })
    // An error of any of them shows as the end of what it prints.
    for (const one of [this.#process, this.#process.stdin]) one.on('error', () => undefined)
    this.#hold(false)
  }

  get pid(): number | undefined {
    return this.#process.pid
  }

  /** It does one thing at a time, for as long as it lives. */
  get isFree(): boolean {
    const { exitCode, signalCode } = this.#process
    return !this.#busy && exitCode === null && signalCode === null
  }

  /** Runs a program with the working directory and umask of this process, and no input. */
  async run(words: readonly string[], cwd: string): Promise<Finished> {
    this.#busy = true
    this.#hold(true)
    try {
      const { stdin, stdout, stderr } = this.#process
      const mask = process.umask().toString(8)
      const program = `cd ${quote(cwd)} && umask ${mask} && exec ${words.map(quote).join(' ')}`
      const told = Promise.all([untilMark(stdout, this.#mark), untilMark(stderr, this.#mark)])
      stdin.write(`(${program}) </dev/null; printf '%03d${this.#mark}' $?; printf '${this.#mark}' >&2\n`)
      const [out, err] = await told
      return { status: Number(out.subarray(-3).toString()), stdout: out.subarray(0, -3), stderr: err }
    } finally {
      this.#busy = false
      this.#hold(false)
    }
  }

  /** Whether it keeps this process alive; at the end of its input it ends itself. */
  #hold(wanted: boolean): void {
    const verb = wanted ? 'ref' : 'unref'
    this.#process[verb]()
    for (const stream of [this.#process.stdin, this.#process.stdout, this.#process.stderr])
      if (stream instanceof Socket) stream[verb]()
  }
}
