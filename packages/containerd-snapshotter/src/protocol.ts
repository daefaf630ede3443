/** containerd's messages as @grpc/proto-loader has them: fields in camel case, absent texts empty, enums by name. */
import { fileURLToPath } from 'node:url'
import { loadPackageDefinition, type ServiceDefinition } from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'

export interface KeyRequest {
  readonly key: string
}

export interface PrepareRequest extends KeyRequest {
  readonly parent: string
  readonly labels: Readonly<Record<string, string>>
}

export interface CommitRequest extends KeyRequest {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
}

export interface UpdateRequest {
  readonly info: Info | null
  readonly updateMask: { readonly paths: readonly string[] } | null
}

export interface ListRequest {
  readonly filters: readonly string[]
}

export interface Timestamp {
  readonly seconds: number
  readonly nanos: number
}

export interface Info {
  readonly name: string
  readonly parent: string
  readonly kind: 'UNKNOWN' | 'VIEW' | 'ACTIVE' | 'COMMITTED'
  readonly createdAt: Timestamp | null
  readonly updatedAt: Timestamp | null
  readonly labels: Readonly<Record<string, string>>
}

export interface Mount {
  readonly type: string
  readonly source: string
  readonly target: string
  readonly options: readonly string[]
}

/** The snapshots service of containerd, from the definitions in `proto/`. */
export function snapshotsService(): ServiceDefinition {
  const file = fileURLToPath(new URL('../proto/snapshots.proto', import.meta.url))
  const definitions = loadSync(file, { defaults: true, enums: String, longs: Number })
  const loaded = loadPackageDefinition(definitions) as unknown as {
    readonly containerd: {
      readonly services: { readonly snapshots: { readonly v1: { readonly Snapshots: HasService } } }
    }
  }
  return loaded.containerd.services.snapshots.v1.Snapshots.service
}

interface HasService {
  readonly service: ServiceDefinition
}
