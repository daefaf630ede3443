import type { ImageConfig } from './image-config.ts'

/** Docker's, for images that set none. */
const defaultPath = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

export interface EnvironmentOptions {
  /** `NAME=value`; a `NAME` alone takes the variable away, as with Docker. */
  readonly env?: readonly string[] | undefined
  readonly hostname?: string | undefined
  readonly home: string
  readonly terminal: boolean
}

/** The environment, each name once; what is said later counts: defaults, then the image's, then the caller's. */
export function processEnvironment(
  config: Pick<ImageConfig, 'config'>,
  options: EnvironmentOptions,
): readonly string[] {
  const { hostname, home, terminal, env = [] } = options
  const defaults = [
    defaultPath,
    ...(hostname === undefined ? [] : [`HOSTNAME=${hostname}`]),
    ...(terminal ? ['TERM=xterm'] : []),
    `HOME=${home}`,
  ]
  const variables = new Map<string, string>()
  for (const variable of [...defaults, ...config.config.Env, ...env]) {
    const equals = variable.indexOf('=')
    if (equals === -1) variables.delete(variable)
    else variables.set(variable.slice(0, equals), variable)
  }
  return [...variables.values()]
}
