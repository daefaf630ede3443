/**
 * Who one is to a registry, as Docker keeps it: `auths`, `credHelpers` and `credsStore` of `config.json`.
 *
 * @see https://docs.docker.com/reference/cli/docker/login/#credential-helpers
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import path from 'node:path'
import { text } from 'node:stream/consumers'
import { GraphDriverError } from '@graphdriver/core'
import { isSystemError } from '@graphdriver/sys'

/** A name with its password, or a token that stands for both. */
export type Credentials =
  | { readonly username: string; readonly password: string }
  | { readonly identityToken: string }

/** @returns undefined for nobody in particular */
export type CredentialSource = (host: string) => Promise<Credentials | undefined>

interface DockerConfig {
  readonly auths?: Readonly<
    Record<string, { readonly auth?: string; readonly identitytoken?: string } | undefined>
  >
  readonly credHelpers?: Readonly<Record<string, string | undefined>>
  readonly credsStore?: string
}

/** Docker's key for its own registry. */
const hubKey = 'https://index.docker.io/v1/'

/** @throws GD_REGISTRY_FAILED when the file or a helper is not usable */
export async function dockerCredentials(host: string): Promise<Credentials | undefined> {
  const directory = process.env['DOCKER_CONFIG'] ?? path.join(homedir(), '.docker')
  const config = await readConfig(path.join(directory, 'config.json'))
  const key = host === 'docker.io' ? hubKey : host
  const helper = config.credHelpers?.[key] ?? config.credsStore
  if (helper !== undefined && helper !== '') return askHelper(helper, key)
  const entry = config.auths?.[key] ?? config.auths?.[`https://${key}`]
  if (entry?.identitytoken !== undefined && entry.identitytoken !== '')
    return { identityToken: entry.identitytoken }
  return entry?.auth === undefined ? undefined : decoded(entry.auth)
}

async function readConfig(file: string): Promise<DockerConfig> {
  try {
    const read: unknown = JSON.parse(await readFile(file, 'utf8'))
    return typeof read === 'object' && read !== null ? (read as DockerConfig) : {}
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ENOTDIR')) return {}
    const why = error instanceof Error ? error.message : String(error)
    throw unusable(file, `${file} cannot be read: ${why}; mend it, or log in again`, error)
  }
}

/** `user:password` in base64. */
function decoded(auth: string): Credentials | undefined {
  const pair = Buffer.from(auth, 'base64').toString('utf8')
  const colon = pair.indexOf(':')
  if (colon <= 0) return undefined
  return { username: pair.slice(0, colon), password: pair.slice(colon + 1).replace(/\0+$/, '') }
}

/** It reads the key, and writes `{ Username, Secret }`; whom it does not know it tells by failing. */
async function askHelper(name: string, key: string): Promise<Credentials | undefined> {
  const program = `docker-credential-${name}`
  const child = spawn(program, ['get'], { stdio: ['pipe', 'pipe', 'ignore'] })
  const failed = once(child, 'error').then(([error]: unknown[]) => {
    throw unusable(program, `credential helper ${program} cannot be started: ${String(error)}`, error)
  })
  child.stdin.on('error', () => undefined).end(`${key}\n`)
  const output = await Promise.race([text(child.stdout), failed])
  if (!output.trimStart().startsWith('{')) return undefined
  const { Username: username, Secret: password } = JSON.parse(output) as {
    Username?: string
    Secret?: string
  }
  if (username === undefined || password === undefined) return undefined
  return username === '<token>' ? { identityToken: password } : { username, password }
}

function unusable(object: string, message: string, cause: unknown): GraphDriverError<'GD_REGISTRY_FAILED'> {
  return new GraphDriverError(
    'GD_REGISTRY_FAILED',
    message,
    { registry: object, reason: 'credentials' },
    { cause },
  )
}
