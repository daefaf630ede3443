/**
 * A filesystem in a file, for a layer that nothing else can limit. The file is sparse: it takes what the layer has.
 *
 * It is mounted while somebody uses it, in whatever process. Each user holds a shared lock on the file; who can have it
 * alone is the first, and mounts, or was the last, and unmounts. The kernel drops the locks of the dead. What they left
 * mounted does no harm: the next user finds it, and `reapVolumes` unmounts what nobody uses.
 */
import {
  closeSync,
  existsSync,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { GraphDriverError, type LayerId, type Quota, type Usage } from '@graphdriver/core'
import {
  AT_FDCWD,
  attachLoop,
  CommandError,
  detach,
  findLoopDevices,
  flock,
  growExt4,
  growLoop,
  hasCapability,
  isMountPoint,
  isSystemError,
  mount,
  O,
  openat,
  readMountTable,
  run,
  statfs,
  syncFilesystem,
} from '@graphdriver/sys'

const filesystem = 'ext4'
/** ext4's journal alone takes four. */
const leastMiB = 8
const mebibyte = 1024 * 1024
/** Inodes that ext4 keeps for itself. */
const ownInodes = 10
const longestPause = 20
/** Of blocks and of inodes. */
const plenty = 64

/** A program that volumes need. */
export const volumeProgram = 'mkfs.ext4'

export class Volume {
  readonly #image: string
  readonly #target: string

  /**
   * @param image the file; on the filesystem that the driver's home is on
   * @param target where it is mounted while it is in use
   */
  constructor(image: string, target: string) {
    this.#image = image
    this.#target = target
  }

  get target(): string {
    return this.#target
  }

  exists(): boolean {
    return existsSync(this.#image)
  }

  /**
   * Makes the filesystem, with an empty root.
   *
   * @throws GD_INVALID_OPTION for a size that is too small for a filesystem
   */
  async make(id: LayerId, { size, inodes }: Quota): Promise<void> {
    if (size === undefined || size < leastMiB * mebibyte) throw tooSmall(id, size)
    const fd = openat(AT_FDCWD, this.#image, O.RDWR | O.CREAT | O.EXCL | O.NOFOLLOW, 0o600)
    try {
      ftruncateSync(fd, size)
    } finally {
      closeSync(fd)
    }
    const count = inodes === undefined ? [] : ['-N', String(inodes + ownInodes)]
    // Nothing is kept for root: a container's root is to be limited as everybody is.
    const options = ['-q', '-F', '-m', '0', '-E', 'lazy_itable_init=1,nodiscard', ...count]
    try {
      await run(volumeProgram, [...options, this.#image])
    } catch (error) {
      if (error instanceof CommandError) throw tooSmall(id, size, error)
      throw error
    }
  }

  /** Mounts it, unless it is. Disposing what is returned unmounts it, unless somebody else uses it. */
  async open(): Promise<AsyncDisposable> {
    const fd = openat(AT_FDCWD, this.#image, O.RDWR | O.NOFOLLOW)
    try {
      await this.#enter(fd)
    } catch (error) {
      closeSync(fd)
      throw error
    }
    let held = true
    const leave = async (): Promise<void> => {
      if (!held) return
      held = false
      try {
        this.#leave(fd)
      } finally {
        closeSync(fd)
      }
    }
    return { [Symbol.asyncDispose]: leave }
  }

  /**
   * Holds it where it is mounted, and changes nothing. Who left it last meanwhile leaves it mounted, for `reapVolumes`.
   *
   * @throws GD_READ_ONLY where it is not
   */
  join(): AsyncDisposable {
    const fd = openat(AT_FDCWD, this.#image, O.RDONLY | O.NOFOLLOW)
    if (!flock(fd, 'shared', { nonblocking: true }) || !isMountPoint(this.#target)) {
      closeSync(fd)
      throw new GraphDriverError(
        'GD_READ_ONLY',
        `${this.#image} is a filesystem that is not mounted, and nothing is mounted where one only reads; open it without readOnly`,
        { object: this.#image },
      )
    }
    return { [Symbol.asyncDispose]: async () => closeSync(fd) }
  }

  /** @throws GD_INVALID_OPTION for less than it has, and for what this host cannot do while it is in use */
  async change(id: LayerId, { size, inodes }: Quota): Promise<void> {
    if (inodes !== undefined)
      throw invalid(id, 'inodes', inodes, 'a filesystem in a file has as many inodes as it was made with')
    if (size === undefined) return
    const fd = openat(AT_FDCWD, this.#image, O.RDWR | O.NOFOLLOW)
    try {
      const now = fstatSync(fd).size
      if (size < now)
        throw invalid(id, 'size', size, `a filesystem in a file only grows, and this one has ${now} bytes`)
      if (hasCapability('CAP_SYS_RESOURCE')) await this.#growMounted(fd, size)
      else await this.#growUnmounted(id, fd, size)
    } finally {
      closeSync(fd)
    }
  }

  async #growMounted(fd: number, size: number): Promise<void> {
    await using _ = await this.open()
    ftruncateSync(fd, size)
    for (const device of findLoopDevices(this.#image)) growLoop(device)
    growExt4(this.#target, size)
  }

  async #growUnmounted(id: LayerId, fd: number, size: number): Promise<void> {
    if (!flock(fd, 'exclusive', { nonblocking: true })) {
      const why = 'it is in use, and to grow it then needs CAP_SYS_RESOURCE; unmount the layer first'
      throw invalid(id, 'size', size, why)
    }
    // What a crash left in the journal is done first.
    if (!isMountPoint(this.#target)) this.#mount()
    this.#unmount()
    ftruncateSync(fd, size)
    await run('resize2fs', ['-f', this.#image])
  }

  /**
   * Makes room in a full volume for the directory that overlayfs makes anew when it mounts: without it, the layer would be
   * mounted read-only, and could not be emptied. What ext4 frees can be used after the next commit, and only what is more
   * than it keeps for itself, which is a share of the size and so grows with it.
   *
   * @param work overlayfs' work directory, which nobody uses
   */
  makeRoom(work: string): void {
    const { blocksAvailable, filesFree } = statfs(this.#target)
    if (blocksAvailable >= plenty && filesFree >= plenty) return
    rmSync(path.join(work, 'work'), { recursive: true, force: true })
    syncFilesystem(this.#target)
    this.#lowerReserve()
  }

  #lowerReserve(): void {
    const free = Number(statfs(this.#target).blocksFree)
    for (const device of findLoopDevices(this.#image)) {
      const file = `/sys/fs/ext4/${path.basename(device)}/reserved_clusters`
      try {
        const kept = Number(readFileSync(file, 'utf8'))
        const wanted = Math.max(0, free - plenty)
        if (wanted < kept) writeFileSync(file, String(wanted))
      } catch (error) {
        // No sysfs here, or one that takes nothing: the mount may be read-only then.
        if (!isSystemError(error, 'ENOENT', 'EACCES', 'EPERM', 'EROFS')) throw error
      }
    }
  }

  /** While it is open. */
  usage(): Usage {
    const { blocks, blocksFree, blockSize, files, filesFree } = statfs(this.#target)
    return {
      bytes: Number(blocks - blocksFree) * blockSize,
      inodes: Number(files - filesFree) - ownInodes,
    }
  }

  async #enter(fd: number): Promise<void> {
    for (let pause = 1; ; pause = Math.min(2 * pause, longestPause)) {
      if (flock(fd, 'exclusive', { nonblocking: true })) {
        if (!isMountPoint(this.#target)) this.#mount()
        flock(fd, 'shared')
        return
      }
      // Others use it; unless its first user could not mount it, it is there.
      if (flock(fd, 'shared', { nonblocking: true }) && isMountPoint(this.#target)) return
      flock(fd, 'unlock')
      await setTimeout(pause)
    }
  }

  #leave(fd: number): void {
    // Of two that leave at once, neither may stand in the other's way.
    flock(fd, 'unlock')
    if (flock(fd, 'exclusive', { nonblocking: true })) this.#unmount()
  }

  #mount(): void {
    mkdirSync(this.#target, { recursive: true, mode: 0o700 })
    // A mount that somebody still looks at keeps its device, and a second one on the same file would destroy it.
    const [attached] = findLoopDevices(this.#image)
    using device = attached === undefined ? attachLoop(this.#image, { autoclear: true }) : undefined
    // What is deleted is to be free for others, too.
    mount({
      source: device?.path ?? attached ?? '',
      target: this.#target,
      type: filesystem,
      data: 'discard',
    })
    try {
      rmdirSync(path.join(this.#target, 'lost+found'))
    } catch (error) {
      // What a container keeps there stays.
      if (!isSystemError(error, 'ENOENT', 'ENOTEMPTY', 'ENOTDIR')) throw error
    }
  }

  #unmount(): void {
    detach(this.#target)
  }
}

/**
 * Unmounts the volumes below a directory that nobody uses any more.
 *
 * @param volumeAt which volume is mounted at a path, if one is
 */
export async function reapVolumes(
  directory: string,
  volumeAt: (target: string) => Volume | undefined,
): Promise<void> {
  const below = `${directory}/`
  for (const { target, type } of readMountTable()) {
    if (type !== filesystem || !target.startsWith(below)) continue
    const volume = volumeAt(target)
    if (volume?.exists() === true) await (await volume.open())[Symbol.asyncDispose]()
  }
}

function tooSmall(id: LayerId, size: number | undefined, cause?: unknown): Error {
  const expected = `a filesystem in a file needs at least ${leastMiB}M`
  return invalid(id, 'size', size, expected, cause)
}

function invalid(
  id: LayerId,
  option: string,
  value: number | undefined,
  why: string,
  cause?: unknown,
): Error {
  const said = value === undefined ? `no '${option}'` : `${option} ${value}`
  return new GraphDriverError(
    'GD_INVALID_OPTION',
    `layer ${id}: ${said}: ${why}`,
    { option, value: value === undefined ? undefined : String(value) },
    { cause },
  )
}
