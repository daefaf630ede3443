/** Files of Windows as programs for backup see them: all their streams in one, whatever their lists of access say. */
import { fromWin32 } from './error.ts'
import { calls, failure, type Handle, isInvalid } from './native.ts'

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
    if (isInvalid(handle)) throw failure('CreateFileW', path)
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
