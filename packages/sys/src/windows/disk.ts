/** Virtual disks, by virtdisk.dll. */
import { fromWin32 } from './error.ts'
import { systemLibrary } from './library.ts'

/** VIRTUAL_STORAGE_TYPE of zeros: the file itself tells what it is. */
const anyStorage = Buffer.alloc(20)
/** OPEN_VIRTUAL_DISK_PARAMETERS, version 2, with which a disk is opened with no access at all. */
const parametersLength = 28
const cachedIo = 0x8
const ignoreRelativeParent = 0x10

/** Takes a virtual disk off that a crash has left attached. @throws WindowsError */
export function detachDisk(file: string): void {
  const virtdisk = systemLibrary('virtdisk.dll')
  const open = virtdisk.func(
    'uint32_t __stdcall OpenVirtualDisk(void *type, str16 path, uint32_t access, uint32_t flags, void *parameters, _Out_ intptr_t *handle)',
  )
  const parameters = Buffer.alloc(parametersLength)
  parameters.writeUInt32LE(2, 0)
  const handle: (bigint | number)[] = [0]
  check(
    open(anyStorage, file, 0, cachedIo | ignoreRelativeParent, parameters, handle),
    'OpenVirtualDisk',
    file,
  )
  try {
    const detach = virtdisk.func(
      'uint32_t __stdcall DetachVirtualDisk(intptr_t handle, uint32_t flags, uint32_t provider)',
    )
    check(detach(handle[0], 0, 0), 'DetachVirtualDisk', file)
  } finally {
    systemLibrary('kernel32.dll').func('int __stdcall CloseHandle(intptr_t handle)')(handle[0])
  }
}

function check(result: unknown, syscall: string, path: string): void {
  if (typeof result === 'number' && result !== 0) throw fromWin32(result, { syscall, path })
}
