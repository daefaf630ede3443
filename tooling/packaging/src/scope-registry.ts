/** A registry for our own scope, on loopback: npm asks it for what is not published yet, and the public one for all else. */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import type { Tarball } from './tarballs.ts'

export interface ScopeRegistry extends AsyncDisposable {
  /** For a project's `.npmrc`. */
  readonly npmrc: string
}

export async function serveScope(tarballs: readonly Tarball[]): Promise<ScopeRegistry> {
  const byName = new Map(tarballs.map((tarball) => [tarball.manifest.name, tarball]))
  const byFile = new Map(tarballs.map(({ file }) => [path.basename(file), file]))
  const server = createServer((request, response) => {
    const target = decodeURIComponent((request.url ?? '/').slice(1))
    const file = byFile.get(target)
    const tarball = byName.get(target)
    if (file !== undefined) response.end(readFileSync(file))
    else if (tarball !== undefined)
      response.setHeader('content-type', 'application/json').end(JSON.stringify(packument(tarball, origin())))
    else response.writeHead(404).end('{}')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const origin = (): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    npmrc: `@graphdriver:registry=${origin()}/\nfund=false\naudit=false\nupdate-notifier=false\n`,
    async [Symbol.asyncDispose]() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}

/** What a registry tells of a package that has one version. */
function packument({ manifest, file }: Tarball, origin: string): object {
  const { name, version } = manifest
  const integrity = `sha512-${createHash('sha512').update(readFileSync(file)).digest('base64')}`
  const dist = { tarball: `${origin}/${path.basename(file)}`, integrity }
  return { name, 'dist-tags': { latest: version }, versions: { [version]: { ...manifest, dist } } }
}
