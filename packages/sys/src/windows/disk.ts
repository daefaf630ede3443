/** Virtual disks, by virtdisk.dll. */
import { fromWin32, isWindowsError, win32 } from './error.ts'
import { slowCalls } from './library.ts'
import { calls as nativeCalls, type Handle } from './native.ts'

const signatures = {
  OpenVirtualDisk:
    'void *type, str16 path, uint32_t access, uint32_t flags, void *parameters, _Out_ intptr_t *handle',
  AttachVirtualDisk:
    'intptr_t handle, void *security, uint32_t flags, uint32_t provider, void *parameters, void *overlapped',
  DetachVirtualDisk: 'intptr_t handle, uint32_t flags, uint32_t provider',
  ExpandVirtualDisk: 'intptr_t handle, uint32_t flags, void *parameters, void *overlapped',
  GetVirtualDiskPhysicalPath: 'intptr_t handle, _Inout_ uint32_t *bytes, void *path',
} as const

/** VIRTUAL_STORAGE_TYPE of zeros: the file itself tells what it is. */
const anyStorage = Buffer.alloc(20)
/** OPEN_VIRTUAL_DISK_PARAMETERS, version 2, with which a disk is opened with no access at all. */
const openParameters = structure(28, 2)
/** ATTACH_VIRTUAL_DISK_PARAMETERS, version 2: the whole disk. */
const attachParameters = structure(24, 2)
const cachedIo = 0x8
const ignoreRelativeParent = 0x10
const attachFlags = { noDriveLetter: 0x2, permanentLifetime: 0x4 } as const

function structure(length: number, version: number): Buffer {
  const bytes = Buffer.alloc(length)
  bytes.writeUInt32LE(version, 0)
  return bytes
}

let bound: ReturnType<typeof slowCalls<keyof typeof signatures>> | undefined

/** @throws WindowsError, of every call, with the file */
export class VirtualDisk implements Disposable {
  readonly #file: string
  readonly #handle: Handle

  private constructor(file: string, handle: Handle) {
    this.#file = file
    this.#handle = handle
  }

  /** @param flags OPEN_VIRTUAL_DISK_FLAG */
  static async open(file: string, flags = 0): Promise<VirtualDisk> {
    const handle: Handle[] = [0]
    await check('OpenVirtualDisk', file, anyStorage, file, 0, flags, openParameters, handle)
    return new VirtualDisk(file, handle[0] ?? 0)
  }

  [Symbol.dispose](): void {
    nativeCalls('CloseHandle').CloseHandle(this.#handle)
  }

  get handle(): Handle {
    return this.#handle
  }

  /** @param isPermanent also when this handle is closed and the process has ended */
  async attach(isPermanent: boolean): Promise<void> {
    const flags = attachFlags.noDriveLetter | (isPermanent ? attachFlags.permanentLifetime : 0)
    await check('AttachVirtualDisk', this.#file, this.#handle, null, flags, 0, attachParameters, null)
  }

  async detach(): Promise<void> {
    await check('DetachVirtualDisk', this.#file, this.#handle, 0, 0)
  }

  async isAttached(): Promise<boolean> {
    const path = Buffer.alloc(2 * 512)
    try {
      await check('GetVirtualDiskPhysicalPath', this.#file, this.#handle, [path.length], path)
      return true
    } catch (error) {
      if (isWindowsError(error, win32.deviceNotThere)) return false
      throw error
    }
  }

  /** Makes the disk larger, not what is on it. */
  async expand(bytes: number): Promise<void> {
    const parameters = Buffer.alloc(16)
    parameters.writeUInt32LE(1, 0)
    parameters.writeBigUInt64LE(BigInt(bytes), 8)
    await check('ExpandVirtualDisk', this.#file, this.#handle, 0, parameters, null)
  }
}

/** Takes a virtual disk off that a crash has left attached. @throws WindowsError */
export async function detachDisk(file: string): Promise<void> {
  using disk = await VirtualDisk.open(file, cachedIo | ignoreRelativeParent)
  await disk.detach()
}

/** Attaches a disk for as long as an action takes, if it is not attached. @throws WindowsError */
export async function whileAttached<T>(file: string, action: (disk: VirtualDisk) => Promise<T>): Promise<T> {
  using disk = await VirtualDisk.open(file)
  if (await disk.isAttached()) return await action(disk)
  await disk.attach(false)
  try {
    return await action(disk)
  } finally {
    await disk.detach()
  }
}

async function check(
  name: keyof typeof signatures,
  file: string,
  ...values: readonly unknown[]
): Promise<void> {
  const result = await (bound ??= slowCalls('virtdisk.dll', signatures))[name](...values)
  if (result !== 0) throw fromWin32(result, { syscall: name, path: file })
}
