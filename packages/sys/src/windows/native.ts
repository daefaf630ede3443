/** Functions of kernel32.dll and advapi32.dll. */
import { fromWin32 } from './error.ts'
import { koffi, systemLibrary } from './library.ts'

export type Handle = bigint | number

export interface Calls {
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
  DeviceIoControl(
    handle: Handle,
    code: number,
    from: Buffer | null,
    fromLength: number,
    into: Buffer | null,
    intoLength: number,
    returned: number[],
    overlapped: null,
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
  DeviceIoControl:
    'int __stdcall DeviceIoControl(intptr_t handle, uint32_t code, void *from, uint32_t fromLength, void *into, uint32_t intoLength, _Out_ uint32_t *returned, void *overlapped)',
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

export function calls(caller: string): Calls {
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
export function failure(syscall: string, path?: string): Error {
  return fromWin32(calls(syscall).GetLastError(), { syscall, path })
}

/** INVALID_HANDLE_VALUE. */
export function isInvalid(handle: Handle): boolean {
  return BigInt(handle) === -1n
}
