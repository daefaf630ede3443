import { GraphDriverError } from '@graphdriver/core'
import type { Reference } from '../reference.ts'

/** Where a repository is asked for. */
export interface Endpoint {
  /** `https://host:port`, without a slash at the end. */
  readonly base: string
  /** What credentials are kept under: the host, with its port. */
  readonly host: string
}

/** Docker's name for its registry, and where it is. */
const hub = { domain: 'docker.io', host: 'registry-1.docker.io' } as const

/**
 * The mirrors first, then the registry itself.
 *
 * @param plainHttp without TLS: only where somebody has asked for it
 */
export function endpointsOf(
  { domain }: Reference,
  {
    mirrors = [],
    plainHttp = false,
  }: { readonly mirrors?: readonly string[] | undefined; readonly plainHttp?: boolean | undefined },
): readonly Endpoint[] {
  const host = domain === hub.domain ? hub.host : domain
  return [...mirrors.map(mirrorAt), { base: `${plainHttp ? 'http' : 'https'}://${host}`, host: domain }]
}

function mirrorAt(text: string): Endpoint {
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol))
    throw new GraphDriverError(
      'GD_INVALID_OPTION',
      `mirror '${text}' is no address; one begins with https://, or http:// for plain HTTP`,
      { option: 'mirror', value: text },
    )
  const { origin, host, pathname } = new URL(text)
  return { base: `${origin}${pathname.replace(/\/+$/, '')}`, host }
}
