import { GraphDriverError } from '@graphdriver/core'

export type RegistryReason =
  | 'unreachable'
  | 'unauthorized'
  | 'not-found'
  | 'refused'
  | 'credentials'
  | 'interrupted'

/** A registry that does not give what was asked for, with the remedy. */
export function registryFailure(
  registry: string,
  reason: RegistryReason,
  message: string,
  details: { readonly status?: number | undefined; readonly cause?: unknown } = {},
): GraphDriverError<'GD_REGISTRY_FAILED'> {
  const { status, cause } = details
  return new GraphDriverError('GD_REGISTRY_FAILED', message, { registry, reason, status }, { cause })
}
