/**
 * Makes a fresh clone ready: dependencies, the pinned Node, and a build. Runs on nothing but Node 20 and npm, and
 * does as little as it can: what is there and current is left alone.
 */
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { runProgram } from './program.js'

/** The repository. */
export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..')

const bin = path.join(root, 'node_modules', '.bin')
const windows = process.platform === 'win32'

/** The workspace's own Node, which everything runs on. */
export const node = path.join(bin, windows ? 'node.exe' : 'node')

/** What the last complete installation was made from. */
const stamp = path.join(root, 'node_modules', '.graphdriver-install')

const quiet = { TURBO_TELEMETRY_DISABLED: '1', DO_NOT_TRACK: '1', TURBO_NO_UPDATE_NOTIFIER: '1' }

/** The environment in which the workspace's programs find each other. */
export const environment = { ...quiet, PATH: [bin, process.env.PATH ?? ''].join(path.delimiter) }

/** A reason for people why this cannot go on. */
export class BootstrapError extends Error {}

function manifestOf(directory) {
  return JSON.parse(readFileSync(path.join(root, directory, 'package.json'), 'utf8'))
}

/** The directories of the workspace's packages, relative to the root, as pnpm-workspace.yaml has them. */
export function packageDirectories() {
  return ['packages', 'packages/drivers', 'tooling'].flatMap((shelf) =>
    readdirSync(path.join(root, shelf))
      .map((name) => path.join(shelf, name))
      .filter((directory) => existsSync(path.join(root, directory, 'package.json'))),
  )
}

export function requireNode() {
  const wanted = Number(/\d+/.exec(manifestOf('.').engines.node)?.[0])
  const found = Number(process.versions.node.split('.')[0])
  if (found >= wanted) return
  throw new BootstrapError(`node ${process.versions.node} is too old; install Node ${wanted} or newer`)
}

/** Of the contents, since a checkout touches files without changing them. */
function fingerprint() {
  const hash = createHash('sha256').update(`${process.platform} ${process.arch}\n`)
  const manifests = packageDirectories().map((directory) => path.join(directory, 'package.json'))
  for (const file of ['package.json', 'pnpm-lock.yaml', 'pnpm-workspace.yaml', ...manifests]) {
    hash.update(`${file}\n`).update(readFileSync(path.join(root, file)))
  }
  return hash.digest('hex')
}

function isInstalled(wanted) {
  return existsSync(node) && existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted
}

/** Installs the dependencies when what they come from has changed. */
export async function install() {
  const wanted = fingerprint()
  if (isInstalled(wanted)) return
  rmSync(stamp, { force: true })
  const pnpm = manifestOf('.').packageManager
  console.error(`graphdriver: installing dependencies with ${pnpm}`)
  const arguments_ = ['install', '--frozen-lockfile', '--config.confirm-modules-purge=false']
  const code = await runProgram([windows ? 'npx.cmd' : 'npx', '--yes', pnpm, ...arguments_], {
    cwd: root,
    env: { ...quiet, npm_config_update_notifier: 'false' },
    output: 'stderr',
  })
  if (code === 127) throw new BootstrapError('npx is not on the PATH; install npm, which comes with Node')
  if (code !== 0 || !existsSync(node)) throw new BootstrapError(await explainFailedInstall(code))
  writeFileSync(stamp, wanted)
}

/** npm knows the registry, proxies and certificates that the user has set. */
async function explainFailedInstall(code) {
  const ping = [windows ? 'npm.cmd' : 'npm', 'ping', '--fetch-retries=0']
  const reachable = (await runProgram(ping, { cwd: root, output: 'none' })) === 0
  return reachable
    ? `pnpm install ended with ${code}; its own words are above`
    : 'the npm registry cannot be reached; the first start needs it, later ones do not'
}

/**
 * Runs turbo, which knows what is built and current.
 *
 * @param {readonly string[]} args
 * @param {Parameters<typeof runProgram>[1] & { within?: readonly string[] }} [options] `within` is a command line
 *   that runs the one it is given
 */
export function turbo(args, { within = [], ...options } = {}) {
  const program = path.join(root, 'node_modules', 'turbo', 'bin', 'turbo')
  return runProgram([...within, node, program, ...args], { cwd: root, env: environment, ...options })
}

/** What the last complete build was made from. */
const buildStamp = path.join(root, 'node_modules', '.graphdriver-build')

function builtPackages() {
  return packageDirectories().filter((directory) => manifestOf(directory).scripts?.build !== undefined)
}

/** Names, sizes and times of all that a build reads; turbo reads the contents, which takes seconds. */
function buildInputs() {
  const shared = ['tooling/tsup', 'tooling/tsconfig']
  const hash = createHash('sha256').update(fingerprint())
  for (const directory of [...builtPackages(), ...shared]) {
    const base = path.join(root, directory)
    for (const entry of readdirSync(base, { withFileTypes: true })) {
      if (entry.isFile()) noteFile(hash, path.join(base, entry.name))
    }
    if (!existsSync(path.join(base, 'src'))) continue
    for (const name of readdirSync(path.join(base, 'src'), { recursive: true })) {
      noteFile(hash, path.join(base, 'src', name))
    }
  }
  return hash.digest('hex')
}

function noteFile(hash, file) {
  const { size, mtimeMs } = statSync(file)
  hash.update(`${file} ${size} ${mtimeMs}\n`)
}

function isBuilt(wanted) {
  if (!existsSync(buildStamp) || readFileSync(buildStamp, 'utf8') !== wanted) return false
  return builtPackages().every((directory) => existsSync(path.join(root, directory, 'dist')))
}

/** Builds what has changed. */
export async function build() {
  const wanted = buildInputs()
  if (isBuilt(wanted)) return
  rmSync(buildStamp, { force: true })
  const code = await turbo(['run', 'build', '--output-logs=errors-only', '--log-prefix=none'], {
    output: 'stderr',
  })
  if (code !== 0) throw new BootstrapError('the build failed; its own words are above')
  writeFileSync(buildStamp, wanted)
}

/** Ends the program with one line for a reason, with the stack for what should not happen. */
export async function main(action) {
  try {
    process.exitCode = await action()
  } catch (error) {
    console.error(error instanceof BootstrapError ? `graphdriver: ${error.message}` : error)
    process.exitCode = 1
  }
}
