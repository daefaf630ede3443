/** What a registry wants to see before it answers: `WWW-Authenticate` (RFC 9110, and Docker's token specification). */

export interface Challenge {
  readonly scheme: 'basic' | 'bearer'
  readonly parameters: ReadonlyMap<string, string>
}

/** The first that is known here; `undefined` for none. */
export function parseChallenge(header: string): Challenge | undefined {
  const found = /^\s*(basic|bearer)\b\s*(.*)$/is.exec(header)
  if (found?.[1] === undefined) return undefined
  const scheme = found[1].toLowerCase() === 'basic' ? 'basic' : 'bearer'
  const parameters = new Map<string, string>()
  for (const [, key = '', quoted, plain] of (found[2] ?? '').matchAll(/([a-z_]+)=(?:"([^"]*)"|([^\s,"]+))/gi))
    parameters.set(key.toLowerCase(), quoted ?? plain ?? '')
  return { scheme, parameters }
}
