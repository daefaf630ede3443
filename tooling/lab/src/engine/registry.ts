/** A real registry (docker-registry of Debian) of a case's own, on loopback. */
import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import path from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { execa } from 'execa'
import type { Requirement } from '../requirement.ts'

export const registryRequirements: readonly Requirement[] = [
  { command: 'docker-registry' },
  { command: 'skopeo' },
]

export interface Registry extends AsyncDisposable {
  /** `127.0.0.1:port`. */
  readonly host: string
  /** Copies an image into it, from what skopeo calls `docker-archive:…`, `oci:…`. */
  readonly put: (source: string, name: string) => Promise<void>
}

/** Who may use one that asks: the password is `secret`, here as its file has it. */
export const registryUser = { username: 'somebody', password: 'secret' } as const
const hash = '$2b$05$vhFoTs..2CfhwcWPfkATNO9c2JnRA0uusUONCokWv895hT1RKZGq6'
const htpasswd = `${registryUser.username}:${hash}\n`

/** @param asks who it is, by basic authentication */
export async function startRegistry(directory: string, asks = false): Promise<Registry> {
  await mkdir(directory, { recursive: true })
  const host = `127.0.0.1:${await freePort()}`
  const users = path.join(directory, 'htpasswd')
  await writeFile(users, htpasswd)
  const config = {
    version: 0.1,
    log: { level: 'error', accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: path.join(directory, 'data') }, delete: { enabled: true } },
    http: { addr: host },
    ...(asks ? { auth: { htpasswd: { realm: 'lab', path: users } } } : {}),
  }
  // JSON is YAML.
  const file = path.join(directory, 'config.yml')
  await writeFile(file, JSON.stringify(config))
  const server = execa('docker-registry', ['serve', file], { reject: false, stdin: 'ignore' })
  let ended = false
  void server.then(() => {
    ended = true
  })
  while (!(await answers(host))) {
    if (ended) throw new Error(`docker-registry has ended: ${(await server).stderr}`)
    await setTimeout(20)
  }
  const credentials = asks ? [`--dest-creds=${registryUser.username}:${registryUser.password}`] : []
  return {
    host,
    async put(source, name) {
      const target = `docker://${host}/${name}`
      await execa('skopeo', ['copy', '--quiet', '--dest-tls-verify=false', ...credentials, source, target])
    },
    async [Symbol.asyncDispose]() {
      server.kill('SIGTERM')
      await server
    },
  }
}

async function answers(host: string): Promise<boolean> {
  try {
    const { status } = await fetch(`http://${host}/v2/`)
    return status === 200 || status === 401
  } catch {
    return false
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port was given')
  return address.port
}
