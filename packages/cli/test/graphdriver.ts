/** The command as its users have it: the built program, in a process of its own. */
import { type ChildProcess, spawn } from 'node:child_process'
import { constants } from 'node:os'
import { fileURLToPath } from 'node:url'

export const program: string = fileURLToPath(new URL('../dist/main.js', import.meta.url))
export const demoImage: string = fileURLToPath(
  new URL('../../../tooling/demo-image/demo.oci.tar', import.meta.url),
)
export const demoName = 'graphdriver/demo:latest'

export interface Outcome {
  /** 128 + n for signal n. */
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

export interface CallOptions {
  readonly cwd?: string
  readonly input?: string
  readonly env?: Readonly<Record<string, string>>
  /** What stands before the program, such as `setpriv …`. */
  readonly under?: readonly string[]
}

export interface Call {
  readonly process: ChildProcess
  readonly outcome: Promise<Outcome>
  /** Resolves when the output, stdout and stderr, has this in it; rejects when it ends without. */
  said(text: string): Promise<void>
}

export function start(args: readonly string[], options: CallOptions = {}): Call {
  const [command = '', ...rest] = [...(options.under ?? []), process.execPath, program, ...args]
  const child = spawn(command, rest, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  let stdout = ''
  let stderr = ''
  const listeners = new Set<() => void>()
  const notify = (): void => listeners.forEach((listener) => listener())
  child.stdout.on('data', (chunk: Buffer) => {
    stdout += chunk.toString('latin1')
    notify()
  })
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString()
    notify()
  })
  child.stdin.on('error', () => undefined)
  child.stdin.end(options.input ?? '')
  const outcome = new Promise<Outcome>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => {
      resolve({ code: code ?? 128 + constants.signals[signal ?? 'SIGTERM'], stdout, stderr })
    })
  })
  const said = (text: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        if (`${stdout}${stderr}`.includes(text)) resolve()
      }
      listeners.add(look)
      look()
      child.on('close', () => reject(new Error(`ended without saying '${text}': ${stdout}${stderr}`)))
    })
  return { process: child, outcome, said }
}

/** Runs the command to its end. */
export function graphdriver(args: readonly string[], options: CallOptions = {}): Promise<Outcome> {
  return start(args, options).outcome
}

/** The same for a call that has to succeed; returns stdout. */
export async function succeed(args: readonly string[], options: CallOptions = {}): Promise<string> {
  const { code, stdout, stderr } = await graphdriver(args, options)
  if (code !== 0) throw new Error(`graphdriver ${args.join(' ')}: exit code ${code}: ${stderr}`)
  return stdout
}

export interface ListedLayer {
  readonly chainId: string
  readonly diffId: string
  readonly depth: number
  readonly createdBy: string
}

/** What the commands' documents have, each some of it. */
export interface Document {
  readonly id: string
  readonly chainId: string
  readonly name: string
  readonly path: string
  readonly bytes: number
  readonly driver: string
  readonly images: readonly { readonly names: readonly string[] }[]
  readonly layers: readonly ListedLayer[]
  readonly contents: { readonly writable: readonly string[] }
  readonly changes: readonly unknown[]
  readonly removed: readonly { readonly layers: readonly string[] }[]
  readonly drivers: readonly {
    readonly name: string
    readonly probe: { readonly supported: boolean; readonly reason?: string }
  }[]
}

/** The document of a call with `--json`, which must be all of stdout. */
export async function json(args: readonly string[], options: CallOptions = {}): Promise<Document> {
  return JSON.parse(await succeed([...args, '--json'], options))
}
