/**
 * A registry, by HTTP: asks again when it was busy or the connection broke, and shows who asks when it wants to know.
 *
 * @see https://github.com/opencontainers/distribution-spec/blob/main/spec.md and
 *   https://distribution.github.io/distribution/spec/auth/token/
 */
import { setTimeout } from 'node:timers/promises'
import type { CallOptions } from '@graphdriver/core'
import { parseChallenge } from './challenge.ts'
import type { Credentials, CredentialSource } from './credentials.ts'
import type { Endpoint } from './endpoint.ts'
import { registryFailure } from './failure.ts'

export interface ClientOptions {
  readonly endpoint: Endpoint
  /** `library/busybox`. */
  readonly repository: string
  readonly actions: 'pull' | 'pull,push'
  readonly credentials: CredentialSource
  readonly retry: RetryOptions
}

export interface RetryOptions {
  /** How often something is tried again that failed by no fault of ours. */
  readonly times: number
  /** Milliseconds before the first time; twice as many before each that follows. */
  readonly pause: number
  /** Milliseconds in which some byte has to come. */
  readonly silence: number
}

export const standardRetry: RetryOptions = { times: 4, pause: 300, silence: 60_000 }

export interface RegistryRequest extends CallOptions {
  readonly method?: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  readonly headers?: Readonly<Record<string, string>>
  /** Made anew each time it is sent. */
  readonly body?: (() => RequestInit['body']) | undefined
  /** Whoever asks sees to it that it is asked again. */
  readonly once?: boolean
  /** Answers that are none of a failure. */
  readonly accepted: readonly number[]
}

/** Passing, if one waits. */
const busy: ReadonlySet<number> = new Set([408, 429, 500, 502, 503, 504])
const longestPause = 30_000

export class RegistryClient {
  readonly endpoint: Endpoint
  readonly retry: RetryOptions
  readonly #options: ClientOptions
  #authorization: string | undefined

  constructor(options: ClientOptions) {
    this.endpoint = options.endpoint
    this.retry = options.retry
    this.#options = options
  }

  /** The address of something in the repository, such as `manifests/latest`. */
  url(rest: string): string {
    return `${this.endpoint.base}/v2/${this.#options.repository}/${rest}`
  }

  /** @throws GD_REGISTRY_FAILED */
  async request(url: string, request: RegistryRequest): Promise<Response> {
    let asked = false
    for (let failures = 0; ;) {
      const response = await this.#attempt(url, request, failures)
      if (response === undefined) {
        failures += 1
        continue
      }
      if (request.accepted.includes(response.status)) return response
      if (response.status === 401 && !asked) {
        asked = true
        await drop(response)
        await this.#authorize(response.headers.get('www-authenticate') ?? '', request)
        continue
      }
      if (busy.has(response.status) && failures < this.#timesOf(request)) {
        await drop(response)
        await this.#pause(failures, request.signal, response.headers.get('retry-after'))
        failures += 1
        continue
      }
      throw await this.#refusal(url, response)
    }
  }

  /** Waits before something is tried again. */
  async wait(failures: number, signal: AbortSignal | undefined): Promise<void> {
    await this.#pause(failures, signal, null)
  }

  /** @returns undefined when the connection failed, after a pause */
  async #attempt(url: string, request: RegistryRequest, failures: number): Promise<Response | undefined> {
    const { method = 'GET', headers = {}, body, signal } = request
    signal?.throwIfAborted()
    // Until the answer begins; what comes then has a patience of its own, and what is sent takes as long as it takes.
    const late = new AbortController()
    const timer =
      body === undefined
        ? globalThis.setTimeout(() => late.abort(new Error('it is silent')), this.retry.silence)
        : undefined
    // Another host, to which a registry may send us for a blob, is not told who asks.
    const isOurs = url.startsWith(this.endpoint.base)
    try {
      return await fetch(url, {
        method,
        headers: {
          ...headers,
          ...(this.#authorization === undefined || !isOurs ? {} : { authorization: this.#authorization }),
        },
        ...(body === undefined ? {} : { body: body(), duplex: 'half' }),
        signal: signal === undefined ? late.signal : AbortSignal.any([signal, late.signal]),
      } as RequestInit)
    } catch (error) {
      signal?.throwIfAborted()
      if (failures >= this.#timesOf(request) || isForGood(error)) throw this.#unreachable(error)
      await this.#pause(failures, signal, null)
      return undefined
    } finally {
      clearTimeout(timer)
    }
  }

  #timesOf({ once = false }: RegistryRequest): number {
    return once ? 0 : this.retry.times
  }

  async #pause(failures: number, signal: AbortSignal | undefined, after: string | null): Promise<void> {
    const wanted = after === null ? Number.NaN : Number(after) * 1000
    const own = this.retry.pause * 2 ** failures * (0.75 + Math.random() / 2)
    const pause = Math.min(Number.isFinite(wanted) ? Math.max(wanted, own) : own, longestPause)
    try {
      await setTimeout(pause, undefined, { signal })
    } catch (error) {
      signal?.throwIfAborted()
      throw error
    }
  }

  async #authorize(header: string, { signal }: CallOptions): Promise<void> {
    const { endpoint, credentials } = this.#options
    const known = await credentials(endpoint.host)
    const challenge = parseChallenge(header)
    if (challenge === undefined) throw this.#unauthorized()
    if (challenge.scheme === 'basic') {
      if (known === undefined || 'identityToken' in known) throw this.#unauthorized()
      this.#authorization = basic(known)
      return
    }
    this.#authorization = `Bearer ${await this.#token(challenge.parameters, known, signal)}`
  }

  async #token(
    parameters: ReadonlyMap<string, string>,
    known: Credentials | undefined,
    signal: AbortSignal | undefined,
  ): Promise<string> {
    const realm = parameters.get('realm') ?? ''
    if (!URL.canParse(realm)) throw this.#unauthorized()
    const { repository, actions } = this.#options
    const wanted = {
      service: parameters.get('service') ?? '',
      scope: parameters.get('scope') ?? `repository:${repository}:${actions}`,
    }
    const url = new URL(realm)
    const isToken = known !== undefined && 'identityToken' in known
    if (!isToken)
      for (const [key, value] of Object.entries(wanted)) if (value !== '') url.searchParams.set(key, value)
    const response = await fetch(url, {
      ...(signal === undefined ? {} : { signal }),
      ...(isToken
        ? {
            method: 'POST',
            body: new URLSearchParams({
              ...wanted,
              grant_type: 'refresh_token',
              client_id: 'graphdriver',
              refresh_token: known.identityToken,
            }),
          }
        : { headers: known === undefined ? {} : { authorization: basic(known) } }),
    }).catch((error: unknown) => {
      signal?.throwIfAborted()
      throw this.#unreachable(error)
    })
    if (!response.ok) {
      await drop(response)
      throw this.#unauthorized(response.status)
    }
    const { token, access_token: access } = (await response.json()) as {
      token?: string
      access_token?: string
    }
    const given = token ?? access
    if (given === undefined) throw this.#unauthorized()
    return given
  }

  #unauthorized(status?: number): Error {
    const { host } = this.endpoint
    const message = `registry ${host} does not let us have ${this.#options.repository}; log in (docker login ${host}), or see that the name is right`
    return registryFailure(host, 'unauthorized', message, { status })
  }

  #unreachable(cause: unknown): Error {
    const { host, base } = this.endpoint
    const why = innermost(cause)
    const hint = /wrong version number|packet length|EPROTO/i.test(why)
      ? '; if it has no TLS, say --plain-http'
      : ''
    return registryFailure(
      host,
      'unreachable',
      `registry ${base} cannot be reached: ${why}${hint}; see that it runs, and try again`,
      { cause },
    )
  }

  async #refusal(url: string, response: Response): Promise<Error> {
    const { host } = this.endpoint
    const { status } = response
    const words = firstError(await response.text().catch(() => ''))
    if (status === 401 || status === 403) return this.#unauthorized(status)
    if (status === 404) {
      const what = decodeURI(new URL(url).pathname.slice('/v2/'.length))
      return registryFailure(
        host,
        'not-found',
        `registry ${host} has no ${what}; see that name and tag are right`,
        { status },
      )
    }
    const what = words === '' ? '' : `: ${words}`
    return registryFailure(host, 'refused', `registry ${host} answered ${status}${what}; try again later`, {
      status,
    })
  }
}

function basic({ username, password }: { readonly username: string; readonly password: string }): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
}

/** No such host, a certificate that is not trusted, no TLS where there should be: that will not pass. */
function isForGood(error: unknown): boolean {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : ''
  return /^(?:ENOTFOUND|ERR_SSL|ERR_TLS|CERT_|DEPTH_|SELF_SIGNED|UNABLE_TO_)/.test(code)
}

/** What fetch wraps says what happened. */
function innermost(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause instanceof Error ? innermost(error.cause) : error.message
}

/** `{ errors: [{ code, message }] }`. */
function firstError(text: string): string {
  try {
    const { errors } = JSON.parse(text) as {
      errors?: readonly { readonly message?: string; readonly code?: string }[]
    }
    return errors?.[0]?.message ?? errors?.[0]?.code ?? ''
  } catch {
    return ''
  }
}

async function drop(response: Response): Promise<void> {
  await response.body?.cancel().catch(() => undefined)
}
