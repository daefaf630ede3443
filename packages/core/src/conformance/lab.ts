/**
 * Where cases work. A lab makes places on a real filesystem when they are asked for; the suite itself knows only
 * the one below, which makes directories wherever the system's temporary files are.
 */
import path from 'node:path'
import type { DriverOptions } from '../definition.ts'
import { command } from './host/command.ts'
import { mkdir } from 'node:fs/promises'
import { temporaryDirectory } from './host/temporary-directory.ts'
import { unmet } from './host/requirement.ts'

/** A directory for one case, on the lab's filesystem. Disposing it fails if something was left mounted inside. */
export interface Place extends AsyncDisposable {
  /** Absolute, without symbolic links. */
  readonly path: string
}

/** A filesystem of a case's own. */
export interface VolumeRequest {
  /** `small` is about as small as the filesystem can be, so that a case can fill it; `read-only` takes no writes. */
  readonly kind: 'small' | 'few-inodes' | 'read-only'
}

/** Disposing it, which the adapters do at the end, takes down what its places were on. */
export interface Lab extends AsyncDisposable {
  /** What reports call the filesystem: `ext4`, `xfs`, … */
  readonly name: string
  /** A fresh directory. */
  place(): Promise<Place>
  /** A fresh filesystem, mounted. @throws CannotRun where the lab has none of that kind */
  volume(request: VolumeRequest): Promise<Place>
  /** What the driver is told beside its options at a data root in one of the places: devices of its own, for one. */
  optionsAt?(root: string): Promise<DriverOptions>
}

/** Thrown by what a case asks for, when the host does not have it: the case cannot run here, which is no failure. */
export class CannotRun extends Error {
  override readonly name = 'CannotRun'
  /** Names under which `GRAPHDRIVER_REQUIRE` may demand it. */
  readonly wanted: readonly string[]

  constructor(reason: string, wanted: readonly string[] = []) {
    super(reason)
    this.wanted = wanted
  }
}

/** Recognised by name: the adapter of a runner may have loaded this module a second time. */
export function isCannotRun(error: unknown): error is CannotRun {
  return error instanceof Error && error.name === 'CannotRun' && 'wanted' in error
}

/** Directories in the system's temporary directory; small and read-only filesystems are tmpfs, for root. */
export function temporaryLab(name = 'temporary directory'): Lab {
  return {
    name,
    place: () => temporaryDirectory(),
    volume: tmpfs,
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
}

const options: Readonly<Record<VolumeRequest['kind'], string>> = {
  small: 'size=24m',
  'few-inodes': 'size=64m,nr_inodes=256',
  'read-only': 'size=1m,ro',
}

async function tmpfs({ kind }: VolumeRequest): Promise<Place> {
  const missing = unmet({ root: true }) ?? unmet({ command: 'mount' })
  if (missing !== undefined) throw new CannotRun(`a ${kind} filesystem ${missing}`, ['root'])
  const directory = await temporaryDirectory()
  const target = path.join(directory.path, 'mount')
  await mkdir(target)
  await command('mount', ['-t', 'tmpfs', '-o', `mode=0755,${options[kind]}`, 'graphdriver-lab', target])
  return {
    path: target,
    async [Symbol.asyncDispose]() {
      await command('umount', [target]).catch(() => undefined)
      await directory[Symbol.asyncDispose]()
    },
  }
}
