/**
 * The only file that talks to libc. It is loaded on the first call, so that importing this package works anywhere;
 * on a platform without these calls the first call throws `UnsupportedPlatformError`.
 *
 * All calls are synchronous: koffi's asynchronous ones run on another thread and lose `errno`. What may sleep long
 * belongs in a worker thread.
 */
import { createRequire } from 'node:module'
import type { LibraryHandle } from 'koffi'
import { SystemError, type SystemErrorContext, UnsupportedPlatformError } from './error.ts'

/** A path as the kernel takes it: any bytes but NUL. Strings are encoded as UTF-8. */
export type Path = string | Buffer

/** A C function whose result is an int, with -1 for failure. */
type Call<Args extends readonly unknown[]> = (...args: Args) => number
type Pointer = string | Buffer | null

interface Libc {
  readonly errno: () => number
  readonly openat: Call<[number, Pointer, number, number]>
  readonly mkdirat: Call<[number, Pointer, number]>
  readonly unlinkat: Call<[number, Pointer, number]>
  readonly symlinkat: Call<[Pointer, number, Pointer]>
  readonly linkat: Call<[number, Pointer, number, Pointer, number]>
  readonly readlinkat: Call<[number, Pointer, Buffer, number]>
  readonly fchownat: Call<[number, Pointer, number, number, number]>
  readonly fchown: Call<[number, number, number]>
  readonly fchmodat: Call<[number, Pointer, number, number]>
  readonly fchmod: Call<[number, number]>
  readonly utimensat: Call<[number, Pointer, Buffer, number]>
  readonly futimens: Call<[number, Buffer]>
  readonly statx: Call<[number, Pointer, number, number, Buffer]>
  readonly lgetxattr: Call<[Pointer, Pointer, Buffer, number]>
  readonly lsetxattr: Call<[Pointer, Pointer, Buffer, number, number]>
  readonly llistxattr: Call<[Pointer, Buffer, number]>
  readonly lremovexattr: Call<[Pointer, Pointer]>
  readonly fgetxattr: Call<[number, Pointer, Buffer, number]>
  readonly fsetxattr: Call<[number, Pointer, Buffer, number, number]>
  readonly flistxattr: Call<[number, Buffer, number]>
  readonly fremovexattr: Call<[number, Pointer]>
  readonly mount: Call<[Pointer, Pointer, Pointer, number, Pointer]>
  readonly umount2: Call<[Pointer, number]>
  readonly flock: Call<[number, number]>
  readonly lseek: Call<[number, number, number]>
  readonly copyFileRange: Call<[number, null, number, null, number, number]>
  readonly ioctlPointer: Call<[number, number, Buffer]>
  readonly ioctlInteger: Call<[number, number, number | bigint]>
  /** syscall(2) by the shapes of its arguments: i(nt), p(ointer), l(ong). */
  readonly callIpil: Call<[number, number, Pointer, number, number | bigint]>
  readonly callIppl: Call<[number, number, Pointer, Buffer, number]>
  readonly callIpipi: Call<[number, number, Pointer, number, Pointer, number]>
  readonly callIipppi: Call<[number, number, number, Pointer, Pointer, number]>
  readonly callIpipl: Call<[number, number, Pointer, number, Buffer, number]>
  readonly callIpl: Call<[number, number, Buffer, number]>
  readonly callPl: Call<[number, Pointer, number]>
  readonly callIll: Call<[number, number, number, number]>
  readonly callI: Call<[number, number]>
}

let loaded: Libc | undefined

/**
 * libc, loaded once per thread.
 *
 * @throws UnsupportedPlatformError naming the call that asked
 */
export function libc(caller: string): Libc {
  loaded ??= load(caller)
  return loaded
}

const libraries: readonly (string | null)[] = [
  'libc.so.6',
  `libc.musl-${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}.so.1`,
  null,
]

function load(caller: string): Libc {
  if (process.platform !== 'linux' || (process.arch !== 'x64' && process.arch !== 'arm64')) {
    throw new UnsupportedPlatformError(caller)
  }
  // Loaded here and not imported, because koffi's own module opens its native part at import.
  const koffi: typeof import('koffi') = createRequire(import.meta.url)('koffi')
  const library = openLibrary(koffi)
  const fn = (name: string, ...args: readonly string[]) => library.func(name, 'int', [...args])
  const long = (name: string, ...args: readonly string[]) => library.func(name, 'long', [...args])
  const p = 'const void *'
  const out = 'void *'
  // syscall(2) is variadic in C; with integer and pointer arguments only, both machines pass those as if it were not.
  const call = (...args: readonly string[]) => library.func('syscall', 'long', ['long', ...args])
  return {
    errno: () => koffi.errno(),
    openat: fn('openat', 'int', p, 'int', 'uint'),
    mkdirat: fn('mkdirat', 'int', p, 'uint'),
    unlinkat: fn('unlinkat', 'int', p, 'int'),
    symlinkat: fn('symlinkat', p, 'int', p),
    linkat: fn('linkat', 'int', p, 'int', p, 'int'),
    readlinkat: long('readlinkat', 'int', p, out, 'size_t'),
    fchownat: fn('fchownat', 'int', p, 'uint', 'uint', 'int'),
    fchown: fn('fchown', 'int', 'uint', 'uint'),
    fchmodat: fn('fchmodat', 'int', p, 'uint', 'int'),
    fchmod: fn('fchmod', 'int', 'uint'),
    utimensat: fn('utimensat', 'int', p, p, 'int'),
    futimens: fn('futimens', 'int', p),
    statx: fn('statx', 'int', p, 'int', 'uint', out),
    lgetxattr: long('lgetxattr', p, p, out, 'size_t'),
    lsetxattr: fn('lsetxattr', p, p, p, 'size_t', 'int'),
    llistxattr: long('llistxattr', p, out, 'size_t'),
    lremovexattr: fn('lremovexattr', p, p),
    fgetxattr: long('fgetxattr', 'int', p, out, 'size_t'),
    fsetxattr: fn('fsetxattr', 'int', p, p, 'size_t', 'int'),
    flistxattr: long('flistxattr', 'int', out, 'size_t'),
    fremovexattr: fn('fremovexattr', 'int', p),
    mount: fn('mount', p, p, p, 'ulong', p),
    umount2: fn('umount2', p, 'int'),
    flock: fn('flock', 'int', 'int'),
    lseek: long('lseek', 'int', 'long', 'int'),
    copyFileRange: long('copy_file_range', 'int', out, 'int', out, 'size_t', 'uint'),
    ioctlPointer: fn('ioctl', 'int', 'ulong', out),
    ioctlInteger: fn('ioctl', 'int', 'ulong', 'ulong'),
    callIpil: call('int', p, 'uint', 'ulong'),
    callIppl: call('int', p, out, 'size_t'),
    callIpipi: call('int', p, 'int', p, 'uint'),
    callIipppi: call('int', 'uint', p, p, 'int'),
    callIpipl: call('int', p, 'uint', out, 'size_t'),
    callIpl: call('int', out, 'size_t'),
    callPl: call(p, 'uint'),
    callIll: call('int', 'uint', 'uint'),
    callI: call('int'),
  }
}

function openLibrary(koffi: typeof import('koffi')): LibraryHandle {
  let cause: unknown
  for (const name of libraries) {
    try {
      return koffi.load(name)
    } catch (error) {
      cause = error
    }
  }
  throw new Error('libc cannot be loaded: neither glibc nor musl was found', { cause })
}

/** The bytes of a path, NUL-terminated for C. @throws SystemError EINVAL for a path that contains NUL */
export function cstring(path: Path): string | Buffer {
  if (typeof path === 'string') {
    if (path.includes('\0')) throw invalidPath(path)
    return path
  }
  if (path.includes(0)) throw invalidPath(path.toString())
  const terminated = Buffer.allocUnsafe(path.length + 1)
  path.copy(terminated)
  terminated[path.length] = 0
  return terminated
}

function invalidPath(path: string): SystemError {
  return new SystemError(22, {
    syscall: 'open',
    path: path.replaceAll('\0', '\\0'),
    note: 'the path contains NUL',
  })
}

/** Turns -1 into a thrown error with the `errno` of the call just made on this thread. */
export function checked(result: number, syscall: string, path?: Path, dest?: Path): number {
  if (result === -1) throw failure(syscall, path, dest)
  return result
}

/** The error of the call just made on this thread. */
export function failure(syscall: string, path?: Path, dest?: Path): SystemError {
  const context: SystemErrorContext = { syscall, path: path?.toString(), dest: dest?.toString() }
  return new SystemError(lastError(syscall), context)
}

/** `errno` of the call just made on this thread, positive. */
export function lastError(caller: string): number {
  return libc(caller).errno()
}
