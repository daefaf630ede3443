/** Files of Windows as programs for backup see them: all their streams in one, whatever their lists of access say. */
import { fromWin32, win32 } from './error.ts'
import { koffi, systemLibrary } from './library.ts'

type Handle = bigint | number

/** Nanoseconds since 1970 do not fit: FILETIMEs, hundreds of nanoseconds since 1601. */
export interface BasicInfo {
  readonly created: bigint
  readonly accessed: bigint
  readonly written: bigint
  readonly changed: bigint
  /** FILE_ATTRIBUTE_*; 0 leaves them as they are when set. */
  readonly attributes: number
}

const access = {
  read: 0x8000_0000,
  write: 0x4000_0000,
  writeOwner: 0x0008_0000,
  writeAccessList: 0x0004_0000,
  systemSecurity: 0x0100_0000,
} as const

const shareRead = 1
const disposition = { createNew: 1, openExisting: 3 } as const
/** Directories too; a reparse point itself; read from its beginning to its end. */
const backupSemantics = 0x0200_0000 | 0x0020_0000 | 0x0800_0000
const basicInfoClass = 0
const basicInfoLength = 40

interface Calls {
  CreateFileW(
    path: string,
    access: number,
    share: number,
    security: null,
    disposition: number,
    flags: number,
    template: number,
  ): Handle
  CloseHandle(handle: Handle): number
  BackupRead(
    handle: Handle,
    into: Buffer,
    length: number,
    read: number[],
    abort: number,
    security: number,
    context: unknown[],
  ): number
  BackupWrite(
    handle: Handle,
    from: Uint8Array | null,
    length: number,
    written: number[],
    abort: number,
    security: number,
    context: unknown[],
  ): number
  SetFileInformationByHandle(handle: Handle, kind: number, from: Buffer, length: number): number
  GetFileInformationByHandleEx(handle: Handle, kind: number, into: Buffer, length: number): number
  GetVolumeInformationW(
    root: string,
    name: null,
    nameLength: number,
    serial: null,
    longest: null,
    flags: null,
    filesystem: Buffer,
    length: number,
  ): number
  GetCurrentProcess(): Handle
  OpenProcessToken(process: Handle, access: number, token: Handle[]): number
  LookupPrivilegeValueW(system: null, name: string, luid: Buffer): number
  AdjustTokenPrivileges(
    token: Handle,
    disableAll: number,
    state: Buffer,
    length: number,
    previous: null,
    returned: null,
  ): number
  GetLastError(): number
}

const kernel32 = {
  CreateFileW:
    'intptr_t __stdcall CreateFileW(str16 path, uint32_t access, uint32_t share, void *security, uint32_t disposition, uint32_t flags, intptr_t template)',
  CloseHandle: 'int __stdcall CloseHandle(intptr_t handle)',
  BackupRead:
    'int __stdcall BackupRead(intptr_t handle, void *into, uint32_t length, _Out_ uint32_t *read, int abort, int security, _Inout_ void **context)',
  BackupWrite:
    'int __stdcall BackupWrite(intptr_t handle, void *from, uint32_t length, _Out_ uint32_t *written, int abort, int security, _Inout_ void **context)',
  SetFileInformationByHandle:
    'int __stdcall SetFileInformationByHandle(intptr_t handle, int kind, void *from, uint32_t length)',
  GetFileInformationByHandleEx:
    'int __stdcall GetFileInformationByHandleEx(intptr_t handle, int kind, void *into, uint32_t length)',
  GetVolumeInformationW:
    'int __stdcall GetVolumeInformationW(str16 root, void *name, uint32_t nameLength, void *serial, void *longest, void *flags, void *filesystem, uint32_t length)',
  GetCurrentProcess: 'intptr_t __stdcall GetCurrentProcess()',
  GetLastError: 'uint32_t __stdcall GetLastError()',
} as const

const advapi32 = {
  OpenProcessToken:
    'int __stdcall OpenProcessToken(intptr_t process, uint32_t access, _Out_ intptr_t *token)',
  LookupPrivilegeValueW: 'int __stdcall LookupPrivilegeValueW(void *system, str16 name, void *luid)',
  AdjustTokenPrivileges:
    'int __stdcall AdjustTokenPrivileges(intptr_t token, int disableAll, void *state, uint32_t length, void *previous, void *returned)',
} as const

let bound: Calls | undefined

function calls(caller: string): Calls {
  if (bound !== undefined) return bound
  koffi(caller)
  const from = (
    library: string,
    signatures: Readonly<Record<string, string>>,
  ): readonly (readonly [string, unknown])[] => {
    const dll = systemLibrary(library)
    return Object.entries(signatures).map(([name, signature]) => [name, dll.func(signature)] as const)
  }
  return (bound = Object.fromEntries([
    ...from('kernel32.dll', kernel32),
    ...from('advapi32.dll', advapi32),
  ]) as unknown as Calls)
}

/** Of the call before. */
function failure(syscall: string, path?: string): Error {
  return fromWin32(calls(syscall).GetLastError(), { syscall, path })
}

const privileges = ['SeBackupPrivilege', 'SeRestorePrivilege', 'SeSecurityPrivilege'] as const
const tokenAdjustAndQuery = 0x28
const enabled = 2
let arePrivilegesEnabled = false

/**
 * Lets this process read and write files whatever their lists of access say. It is the process that may, not a thread,
 * since calls of the pool run on any.
 *
 * @throws WindowsError EPERM where the user has not that right: administrators do
 */
export function enableBackupPrivileges(): void {
  if (arePrivilegesEnabled) return
  const c = calls('AdjustTokenPrivileges')
  const token: Handle[] = [0]
  if (c.OpenProcessToken(c.GetCurrentProcess(), tokenAdjustAndQuery, token) === 0)
    throw failure('OpenProcessToken')
  try {
    for (const name of privileges) {
      const state = Buffer.alloc(16)
      state.writeUInt32LE(1, 0)
      if (c.LookupPrivilegeValueW(null, name, state.subarray(4, 12)) === 0)
        throw failure('LookupPrivilegeValueW', name)
      state.writeUInt32LE(enabled, 12)
      if (c.AdjustTokenPrivileges(token[0] ?? 0, 0, state, 0, null, null) === 0)
        throw failure('AdjustTokenPrivileges', name)
      // It succeeds too when it has done nothing.
      if (c.GetLastError() === win32.notAllAssigned) throw failure('AdjustTokenPrivileges', name)
    }
    arePrivilegesEnabled = true
  } finally {
    c.CloseHandle(token[0] ?? 0)
  }
}

/** What the filesystem calls itself: `NTFS`, `ReFS`. @param root of the volume, as `C:\` */
export function volumeFilesystem(root: string): string {
  const name = Buffer.alloc(2 * 64)
  if (calls('GetVolumeInformationW').GetVolumeInformationW(root, null, 0, null, null, null, name, 64) === 0)
    throw failure('GetVolumeInformationW', root)
  return name.toString('utf16le').replace(/\0.*$/s, '')
}

/** A path that may be longer than 260 characters. */
export function longPath(path: string): string {
  if (path.startsWith('\\\\?\\')) return path
  return path.startsWith('\\\\') ? `\\\\?\\UNC\\${path.slice(2)}` : `\\\\?\\${path}`
}

/** A file opened for backup. */
export class BackupFile implements Disposable {
  readonly #handle: Handle
  readonly #path: string
  #context: unknown[] = [null]
  #abort: (() => void) | undefined

  private constructor(path: string, handle: Handle) {
    this.#path = path
    this.#handle = handle
  }

  /** @throws WindowsError */
  static openToRead(path: string): BackupFile {
    return BackupFile.#open(path, access.read, disposition.openExisting)
  }

  /** An existing one, a directory for example; or one that is made. @throws WindowsError EEXIST */
  static openToWrite(path: string, how: keyof typeof disposition): BackupFile {
    const { read, write, writeOwner, writeAccessList, systemSecurity } = access
    return BackupFile.#open(
      path,
      (read | write | writeOwner | writeAccessList | systemSecurity) >>> 0,
      disposition[how],
    )
  }

  static #open(path: string, wanted: number, how: number): BackupFile {
    const handle = calls('CreateFileW').CreateFileW(
      longPath(path),
      wanted,
      shareRead,
      null,
      how,
      backupSemantics,
      0,
    )
    if (BigInt(handle) === -1n) throw failure('CreateFileW', path)
    return new BackupFile(path, handle)
  }

  [Symbol.dispose](): void {
    this.#abort?.()
    calls('CloseHandle').CloseHandle(this.#handle)
  }

  /** The next bytes of its streams, of [MS-BKUP]. @returns how many; 0 at the end */
  read(into: Buffer, security: boolean): number {
    const c = calls('BackupRead')
    const read = [0]
    this.#abort ??= () => c.BackupRead(this.#handle, Buffer.alloc(0), 0, [0], 1, 0, this.#context)
    if (c.BackupRead(this.#handle, into, into.length, read, 0, Number(security), this.#context) === 0)
      throw failure('BackupRead', this.#path)
    return read[0] ?? 0
  }

  write(from: Uint8Array, security: boolean): void {
    const c = calls('BackupWrite')
    this.#abort ??= () => c.BackupWrite(this.#handle, null, 0, [0], 1, 0, this.#context)
    for (let at = 0; at < from.length;) {
      const written = [0]
      const rest = from.subarray(at)
      if (c.BackupWrite(this.#handle, rest, rest.length, written, 0, Number(security), this.#context) === 0)
        throw failure('BackupWrite', this.#path)
      if (written[0] === undefined || written[0] === 0)
        throw fromWin32(112, { syscall: 'BackupWrite', path: this.#path })
      at += written[0]
    }
  }

  basicInfo(): BasicInfo {
    const info = Buffer.alloc(basicInfoLength)
    if (
      calls('GetFileInformationByHandleEx').GetFileInformationByHandleEx(
        this.#handle,
        basicInfoClass,
        info,
        info.length,
      ) === 0
    )
      throw failure('GetFileInformationByHandleEx', this.#path)
    const time = (index: number): bigint => info.readBigInt64LE(index * 8)
    return {
      created: time(0),
      accessed: time(1),
      written: time(2),
      changed: time(3),
      attributes: info.readUInt32LE(32),
    }
  }

  setBasicInfo({ created, accessed, written, changed, attributes }: BasicInfo): void {
    const info = Buffer.alloc(basicInfoLength)
    for (const [index, time] of [created, accessed, written, changed].entries())
      info.writeBigInt64LE(time, index * 8)
    info.writeUInt32LE(attributes, 32)
    if (
      calls('SetFileInformationByHandle').SetFileInformationByHandle(
        this.#handle,
        basicInfoClass,
        info,
        info.length,
      ) === 0
    )
      throw failure('SetFileInformationByHandle', this.#path)
  }
}
