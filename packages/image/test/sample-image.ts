/** Small images as data, to be written in any format. */
import { type Digest, digestOf, parseDiffId } from '@graphdriver/core'
import { type Entry, tar } from './tar-file.ts'

export interface SampleImage {
  readonly id: Digest
  readonly configBytes: Buffer
  readonly layers: readonly Buffer[]
  readonly names: readonly string[]
}

export interface SampleOptions {
  readonly names?: readonly string[]
  readonly layers?: readonly Buffer[]
  /** Replaces fields of the config. */
  readonly config?: Readonly<Record<string, unknown>>
}

export function layer(...entries: readonly Entry[]): Buffer {
  return tar(...entries)
}

export const base: Buffer = layer({ name: 'etc/' }, { name: 'etc/motd', content: 'hi\n' })
export const above: Buffer = layer({ name: 'app', content: 'x'.repeat(3000) })

export const defaultConfig = { Cmd: ['/bin/sh'], Env: ['PATH=/bin'], Labels: { a: 'b' } }

export function sampleImage(options: SampleOptions = {}): SampleImage {
  const layers = options.layers ?? [base, above]
  const config = {
    architecture: 'amd64',
    os: 'linux',
    created: '2024-01-01T00:00:00Z',
    config: defaultConfig,
    rootfs: { type: 'layers', diff_ids: layers.map((bytes) => parseDiffId(digestOf(bytes))) },
    history: layers.map(() => ({ created_by: 'test' })),
    ...options.config,
  }
  const configBytes = Buffer.from(JSON.stringify(config))
  return { id: digestOf(configBytes), configBytes, layers, names: options.names ?? ['sample:latest'] }
}
