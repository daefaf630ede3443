/** What a pool is made of: found, made of a device by LVM, or put together of two devices or two files. */
import { closeSync, existsSync, ftruncateSync, mkdirSync, openSync, readSync, statSync } from 'node:fs'
import path from 'node:path'
import { attachLoop, findLoopDevices, growLoop, type LoopDevice } from '@graphdriver/sys'
import { loopDirectory } from './layout.ts'
import { ensureLvmPool, lvmPool, madeByLvm } from './lvm.ts'
import { defaultLoopDataSize, defaultLoopMetadataSize, type DeviceMapperOptions } from './options.ts'

export type PoolSource =
  | { readonly kind: 'given'; readonly name: string }
  | { readonly kind: 'devices' | 'files'; readonly data: string; readonly metadata: string }

export type OwnSource = Extract<PoolSource, { readonly data: string }>

/** May make one by LVM. @throws as `ensureLvmPool` */
export async function poolSource(home: string, options: DeviceMapperOptions): Promise<PoolSource> {
  const { thinPool, dataDevice: data, metadataDevice: metadata, directLvm } = options
  const name = thinPool ?? (data === undefined ? await ensureLvmPool(home, directLvm) : undefined)
  if (name !== undefined) return { kind: 'given', name }
  if (data !== undefined && metadata !== undefined) return { kind: 'devices', data, metadata }
  return filesIn(home)
}

/** The same for who makes none. */
export function sourceToRead(home: string, options: DeviceMapperOptions): PoolSource {
  const { thinPool: name, dataDevice: data, metadataDevice: metadata } = options
  if (name !== undefined) return { kind: 'given', name }
  if (data !== undefined && metadata !== undefined) return { kind: 'devices', data, metadata }
  return madeByLvm(home) ? { kind: 'given', name: lvmPool } : filesIn(home)
}

function filesIn(home: string): OwnSource {
  const directory = loopDirectory(home)
  return { kind: 'files', data: path.join(directory, 'data'), metadata: path.join(directory, 'metadata') }
}

/** Makes the files that are not there. */
export function makeFiles(source: OwnSource, options: DeviceMapperOptions): void {
  mkdirSync(path.dirname(source.data), { recursive: true, mode: 0o700 })
  const defaults = { data: defaultLoopDataSize, metadata: defaultLoopMetadataSize }
  for (const [of, wanted] of wantedSizes(options))
    if (!existsSync(source[of]) || statSync(source[of]).size === 0)
      setSize(source[of], wanted ?? defaults[of])
}

/** Makes the files as large as is wanted now; larger ones stay. */
export function growFiles(source: OwnSource, options: DeviceMapperOptions): void {
  for (const [of, wanted] of wantedSizes(options)) {
    const file = source[of]
    if (wanted === undefined || statSync(file).size >= wanted) continue
    setSize(file, wanted)
    for (const device of findLoopDevices(file)) growLoop(device)
  }
}

function wantedSizes({
  loopDataSize,
  loopMetadataSize,
}: DeviceMapperOptions): readonly (readonly ['data' | 'metadata', number | undefined])[] {
  return [
    ['data', loopDataSize],
    ['metadata', loopMetadataSize],
  ]
}

/** Sparse, so that it takes what is in it. */
function setSize(file: string, bytes: number): void {
  const fd = openSync(file, 'a', 0o600)
  try {
    ftruncateSync(fd, bytes)
  } finally {
    closeSync(fd)
  }
}

/** A file is a loop device's, which goes with the pool: two on one file would not know of each other's writes. */
export function blockDevice(
  { kind, ...files }: OwnSource,
  of: 'data' | 'metadata',
  readonly: boolean,
): Pick<LoopDevice, 'path'> & Disposable {
  const file = files[of]
  const [attached] = kind === 'files' ? findLoopDevices(file) : [file]
  if (attached !== undefined) return { path: attached, [Symbol.dispose]: () => undefined }
  return attachLoop(file, { autoclear: true, readonly })
}

export function headOf(device: string): Buffer {
  const head = Buffer.alloc(4096)
  const fd = openSync(device, 'r')
  try {
    readSync(fd, head, 0, head.length, 0)
    return head
  } finally {
    closeSync(fd)
  }
}
