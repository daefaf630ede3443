import { type CallOptions, isGraphDriverError } from '@graphdriver/core'
import type { ImageSource } from '../image-source.ts'
import { OciLayout } from '../oci-layout.ts'
import type { Platform } from '../platform.ts'
import { parseReference, type Reference } from '../reference.ts'
import { RegistryClient, type RetryOptions, standardRetry } from './client.ts'
import { type CredentialSource, dockerCredentials } from './credentials.ts'
import type { Downloads } from './downloads.ts'
import { endpointsOf } from './endpoint.ts'
import { RegistryFiles } from './registry-files.ts'

export interface RegistryOptions extends CallOptions {
  /** Which variant of an image; this host's by default. */
  readonly platform?: Platform | undefined
  /** Addresses that are asked first, such as `https://mirror.example`; what they lack is asked of the registry itself. */
  readonly mirrors?: readonly string[] | undefined
  /** Without TLS. */
  readonly plainHttp?: boolean | undefined
  /** By default those that Docker's config has. */
  readonly credentials?: CredentialSource | undefined
  readonly retry?: Partial<RetryOptions> | undefined
  /** Where blobs are kept until the image is whole, so that a later pull goes on from there; by default nowhere. */
  readonly downloads?: Downloads | undefined
}

/**
 * Opens an image of a registry, to be loaded like one in a file: layers are read as they are unpacked.
 *
 * @throws GD_INVALID_REFERENCE, GD_REGISTRY_FAILED, GD_DIGEST_MISMATCH, GD_INVALID_OPTION
 */
export async function openRegistrySource(name: string, options: RegistryOptions = {}): Promise<ImageSource> {
  const reference = parseReference(name)
  const files = await openFiles(reference, options)
  return new OciLayout(name, files, options.platform)
}

/** A mirror that has it not, or is not there, is no failure while there is somebody else to ask. */
async function openFiles(reference: Reference, options: RegistryOptions): Promise<RegistryFiles> {
  const endpoints = endpointsOf(reference, options)
  for (const [index, endpoint] of endpoints.entries()) {
    const client = new RegistryClient({
      endpoint,
      repository: reference.path,
      actions: 'pull',
      credentials: options.credentials ?? dockerCredentials,
      // Of a mirror that is not there one does not wait to come back.
      retry: { ...standardRetry, ...options.retry, ...(index < endpoints.length - 1 ? { times: 0 } : {}) },
    })
    try {
      return await RegistryFiles.open(client, reference, options)
    } catch (error) {
      if (index === endpoints.length - 1 || !isGraphDriverError(error, 'GD_REGISTRY_FAILED')) throw error
    }
  }
  throw new Error('there is always the registry itself')
}
