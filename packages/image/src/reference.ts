/**
 * Names of images, with the grammar and the short forms of Docker.
 *
 * @see https://github.com/distribution/reference/blob/main/reference.go
 */
import { type Digest, GraphDriverError, parseDigest } from '@graphdriver/core'

export interface Reference {
  /** The registry's host, with its port: `docker.io` when none was written. */
  readonly domain: string
  /** The repository there: `library/busybox` for Docker's own `busybox`. */
  readonly path: string
  /** `latest` when neither tag nor digest was written. */
  readonly tag: string | undefined
  readonly digest: Digest | undefined
  /** Domain and path as people write them: without `docker.io/` and `library/`. */
  readonly familiarName: string
  /** The whole in short form: `busybox:latest`, `busybox@sha256:…`; the digest wins over the tag. */
  readonly familiar: string
}

const domainPart = '(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])'
const domainForm = new RegExp(String.raw`^(?:${domainPart}(?:\.${domainPart})*|\[[a-fA-F0-9:]+\])(?::\d+)?$`)
const pathPart = '[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*'
const pathForm = new RegExp(`^${pathPart}(?:/${pathPart})*$`)
const tagForm = /^\w[\w.-]{0,127}$/
const bareIdForm = /^[a-f0-9]{64}$/
const longestName = 255
/** Name, tag and digest. */
const longestReference = 512

const hubDomain = 'docker.io'
const formerHubDomain = 'index.docker.io'
const officialPath = 'library/'

/**
 * Reads a name as Docker does: `busybox` is `docker.io/library/busybox:latest`.
 *
 * @throws GD_INVALID_REFERENCE
 */
export function parseReference(text: string): Reference {
  if (text.length > longestReference) throw invalid(text, `it exceeds ${longestReference} characters`)
  const at = text.indexOf('@')
  const digest = at === -1 ? undefined : digestIn(text, text.slice(at + 1))
  const tagged = at === -1 ? text : text.slice(0, at)
  const colon = tagged.lastIndexOf(':')
  const hasTag = colon > tagged.lastIndexOf('/')
  const name = hasTag ? tagged.slice(0, colon) : tagged
  const written = hasTag ? tagged.slice(colon + 1) : undefined
  if (written !== undefined && !tagForm.test(written)) throw invalid(text, `'${written}' is no tag`)
  if (bareIdForm.test(name)) throw invalid(text, '64 hexadecimal digits are an image id, not a name')

  const { domain, path } = splitDomain(name)
  if (!domainForm.test(domain)) throw invalid(text, `'${domain}' is no host name`)
  if (!pathForm.test(path)) {
    const upper = pathForm.test(path.toLowerCase())
    throw invalid(text, upper ? 'a repository is written in lower case' : 'it has the form [host/]name[:tag]')
  }
  if (domain.length + 1 + path.length > longestName)
    throw invalid(text, `it exceeds ${longestName} characters`)

  const tag = written ?? (digest === undefined ? 'latest' : undefined)
  const familiarName = shortened(domain, path)
  const familiar = digest === undefined ? `${familiarName}:${tag}` : `${familiarName}@${digest}`
  return { domain, path, tag, digest, familiarName, familiar }
}

/** A first component is a host only if it looks like one, so that `library/busybox` is not looked for at `library`. */
function splitDomain(name: string): { readonly domain: string; readonly path: string } {
  const slash = name.indexOf('/')
  const first = name.slice(0, Math.max(slash, 0))
  const isHost =
    slash !== -1 && (/[.:]/.test(first) || first === 'localhost' || first !== first.toLowerCase())
  const domain = !isHost || first === formerHubDomain ? hubDomain : first
  const path = isHost ? name.slice(slash + 1) : name
  const official = domain === hubDomain && !path.includes('/')
  return { domain, path: official ? officialPath + path : path }
}

function shortened(domain: string, path: string): string {
  if (domain !== hubDomain) return `${domain}/${path}`
  const rest = path.slice(officialPath.length)
  return path.startsWith(officialPath) && !rest.includes('/') ? rest : path
}

function digestIn(reference: string, text: string): Digest {
  try {
    return parseDigest(text)
  } catch (error) {
    throw invalid(reference, `'${text}' is no digest (sha256: and 64 hexadecimal digits)`, error)
  }
}

function invalid(reference: string, reason: string, cause?: unknown): GraphDriverError {
  const shown = reference.length > 300 ? `${reference.slice(0, 300)}…` : reference
  const options = cause === undefined ? undefined : { cause }
  return new GraphDriverError(
    'GD_INVALID_REFERENCE',
    `'${shown}' is not an image name: ${reason}`,
    { reference },
    options,
  )
}
