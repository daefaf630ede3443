/**
 * A Windows without Windows: Wine with a Node for it, and a double of the layer API in its System32. What is shown here
 * is shown of the double.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { copyFile, glob, mkdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import { type TemporaryDirectory, temporaryDirectory } from '@graphdriver/core/conformance'
import { execa } from 'execa'
import { type CacheRecipe, cached } from '../cache.ts'
import type { Requirement } from '../requirement.ts'

const recipe: CacheRecipe = {
  files: ['windows/build.ts', '../windows/double/*'],
  program: path.join(import.meta.dirname, 'build.ts'),
}

export const wineRequirements: readonly Requirement[] = [
  { command: 'wine' },
  { command: 'wineserver' },
  { command: 'x86_64-w64-mingw32-gcc' },
]

export interface WineRun {
  /** Null when it was killed. */
  readonly status: number | null
  /** What it wrote to both. */
  readonly output: string
}

export interface WineMachine extends AsyncDisposable {
  /** Its drive `C:` as a directory of the host. */
  readonly drive: string
  /** Runs a module of the host's by Node; what has types has them stripped. */
  run(module: string, args?: readonly string[], options?: WineRunOptions): Promise<WineRun>
}

export interface WineRunOptions {
  /** Hears of what it writes, within some tenths of a second. */
  readonly onOutput?: ((text: string) => void) | undefined
  /** Seconds after which it is ended; by default 300. */
  readonly seconds?: number | undefined
}

/** A path of the host as Wine has it. */
export function windowsPath(file: string): string {
  return `Z:${file.replaceAll('/', '\\')}`
}

/** Makes one, with a registry and drives of its own. Disposing it ends all that runs in it. */
export async function wineMachine(): Promise<WineMachine> {
  const parts = await cached(recipe)
  const directory = await temporaryDirectory()
  const prefix = path.join(directory.path, 'prefix')
  const env = {
    WINEPREFIX: prefix,
    WINEDEBUG: '-all',
    WINEDLLOVERRIDES: 'mscoree,mshtml=',
    NODE_PATH: windowsPath(path.join(parts, 'modules')),
    LAYER_DOUBLE: 'C:\\double',
  }
  const wine = (args: readonly string[], options: WineRunOptions = {}): Promise<WineRun> =>
    start(args, env, directory, options)
  const machine: WineMachine = {
    drive: path.join(prefix, 'drive_c'),
    run: (module, args = [], options = {}) =>
      wine([path.join(parts, 'node', 'bin', 'node.exe'), windowsPath(module), ...args], options),
    async [Symbol.asyncDispose]() {
      // Its registry is written in the end: nothing may be deleted before.
      await execa('wineserver', ['--kill', '--wait'], { env, reject: false })
      await directory[Symbol.asyncDispose]()
    },
  }
  try {
    // Older ones call themselves Windows 7, which Node refuses.
    const { status, output } = await wine([
      'reg',
      'add',
      'HKCU\\Software\\Wine',
      '/v',
      'Version',
      '/d',
      'win10',
      '/f',
    ])
    if (status !== 0) throw new Error(`wine could not be set up:\n${output}`)
    await putDouble(parts, path.join(machine.drive, 'windows', 'system32'))
    return machine
  } catch (error) {
    await machine[Symbol.asyncDispose]()
    throw error
  }
}

async function putDouble(parts: string, system: string): Promise<void> {
  await mkdir(system, { recursive: true })
  for await (const library of glob('double/*.dll', { cwd: parts }))
    await copyFile(path.join(parts, library), path.join(system, path.basename(library)))
}

let runs = 0

/** Node for Windows cannot write to a pipe of Unix, so that what it writes goes to a file. */
async function start(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  { path: directory }: TemporaryDirectory,
  { onOutput = () => undefined, seconds = 300 }: WineRunOptions,
): Promise<WineRun> {
  const file = path.join(directory, `output-${runs++}`)
  const fd = openSync(file, 'w+')
  let heard = 0
  const hear = (): void => {
    const chunk = Buffer.alloc(fstatSync(fd).size - heard)
    heard += readSync(fd, chunk, 0, chunk.length, heard)
    if (chunk.length > 0) onOutput(chunk.toString())
  }
  const hearing = setInterval(hear, 200)
  try {
    const child = spawn('wine', args, {
      env: { ...process.env, ...env, DISPLAY: '' },
      stdio: ['ignore', fd, fd],
      timeout: seconds * 1000,
    })
    const [status]: (number | null)[] = await once(child, 'exit')
    hear()
    return { status: status ?? null, output: await readFile(file, 'utf8') }
  } finally {
    clearInterval(hearing)
    closeSync(fd)
  }
}
