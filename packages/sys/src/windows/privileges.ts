import { win32 } from './error.ts'
import { calls, failure, type Handle } from './native.ts'

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
