/**
 * The only file that talks to libc. It is loaded on the first call, so that importing this package works anywhere;
 * on a platform without these calls the first call throws `UnsupportedPlatformError`.
 *
 * All calls are synchronous: koffi's asynchronous ones run on another thread and lose `errno`. What may sleep long
 * belongs in a worker thread.
 */
import { createRequire } from 'node:module'
import type { LibraryHandle } from 'koffi'
import { machines, type SystemCall } from './abi.ts'
import { SystemError, type SystemErrorContext, UnsupportedPlatformError } from './error.ts'

/** A path as the kernel takes it: any bytes but NUL. Strings are encoded as UTF-8. */
export type Path = string | Buffer

/**
 * How a system call takes its arguments, a letter each: a descriptor, a number, a path (any C string), a buffer.
 *
 * All go through libc's `syscall`, each declared with a fixed arity. Wrappers are missing here and there (mknodat in
 * glibc before 2.33, statx in musl before 1.2.5, renameat2 in musl), and one missing symbol would fail every call. A
 * variadic declaration would make koffi prepare each call anew; with integers and pointers only, the machines of
 * abi.ts pass variadic arguments as if they were not.
 */
interface Letters {
  d: number
  n: number | bigint
  p: string | Buffer | null
  b: NodeJS.ArrayBufferView | null
}

const ffiTypes: Readonly<Record<string, string>> = { d: 'int', n: 'int64', p: 'str', b: 'void *' }

const shapes = {
  openat: 'dpnn',
  openat2: 'dpbn',
  mkdirat: 'dpn',
  mknodat: 'dpnn',
  unlinkat: 'dpn',
  symlinkat: 'pdp',
  linkat: 'dpdpn',
  renameat2: 'dpdpn',
  readlinkat: 'dpbn',
  fchownat: 'dpnnn',
  fchown: 'dnn',
  fchmodat: 'dpn',
  fchmod: 'dn',
  utimensat: 'dpbn',
  statx: 'dpnnb',
  getdents64: 'dbn',
  lgetxattr: 'ppbn',
  lsetxattr: 'ppbnn',
  llistxattr: 'pbn',
  listxattrat: 'dpnbn',
  lremovexattr: 'pp',
  fgetxattr: 'dpbn',
  fsetxattr: 'dpbnn',
  flistxattr: 'dbn',
  fremovexattr: 'dp',
  mount: 'pppnp',
  umount2: 'pn',
  fsopen: 'pn',
  fspick: 'dpn',
  fsconfig: 'dnppn',
  fsmount: 'dnn',
  move_mount: 'dpdpn',
  open_tree: 'dpn',
  mount_setattr: 'dpnbn',
  quotactl: 'npnb',
  quotactl_fd: 'dnnb',
  syncfs: 'd',
  flock: 'dn',
  lseek: 'dnn',
  fallocate: 'dnnn',
  copy_file_range: 'dbdbnn',
  ioctl: 'dnb',
} as const

type Arguments<Shape extends string> = Shape extends `${infer Letter extends keyof Letters}${infer Rest}`
  ? [Letters[Letter], ...Arguments<Rest>]
  : []

type Calls = { readonly [Name in SystemCall]: (...args: Arguments<(typeof shapes)[Name]>) => number }

/** The system calls by name, each returning -1 for failure. */
interface Libc extends Calls {
  /** ioctl(2) with an argument that is a number, not an address. */
  readonly ioctlNumber: (...args: Arguments<'dnn'>) => number
  readonly errno: () => number
  readonly address: (buffer: Buffer) => bigint | number
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

function load(caller: string): Libc {
  if (process.platform !== 'linux' || (process.arch !== 'x64' && process.arch !== 'arm64')) {
    throw new UnsupportedPlatformError(caller)
  }
  // Loaded here and not imported, because koffi's own module opens its native part at import.
  const koffi: typeof import('koffi') = createRequire(import.meta.url)('koffi')
  const library = openLibrary(koffi)
  const numbers = machines[process.arch].calls
  const byShape = new Map<string, Function>()
  const errors = new LastError(koffi.errno)
  const bind = (number: number, shape: string): Function => {
    let call = byShape.get(shape)
    if (call === undefined) {
      const types = Array.from(shape, (letter) => ffiTypes[letter] ?? letter)
      call = library.func('syscall', 'long', ['long', ...types])
      byShape.set(shape, call)
    }
    return errors.noting(call as NativeCall, number, shape.length)
  }
  const calls: Record<string, unknown> = {}
  for (const [name, shape] of Object.entries(shapes)) calls[name] = bind(numbers[name as SystemCall], shape)
  calls['ioctlNumber'] = bind(numbers.ioctl, 'dnn')
  calls['errno'] = () => errors.number
  calls['address'] = koffi.address
  return calls as unknown as Libc
}

type NativeCall = (number: number, ...args: readonly unknown[]) => number

/**
 * The `errno` of the last call that failed, read before anything else can happen. The engine's own threads and locks set it
 * too: read a few lines later, a directory that was not empty was once "temporarily unavailable" (EAGAIN).
 */
class LastError {
  number = 0
  readonly #read: () => number

  constructor(read: () => number) {
    this.#read = read
  }

  /**
   * The call with its number, noting its error. There is a function for each count of arguments, since between the call and
   * the look nothing may be called or allocated, and no rest of arguments is to be collected for each call.
   */
  noting(call: NativeCall, number: number, count: number): Function {
    const read = this.#read
    switch (count) {
      case 1:
        return (a: unknown) => {
          const result = call(number, a)
          if (result === -1) this.number = read()
          return result
        }
      case 2:
        return (a: unknown, b: unknown) => {
          const result = call(number, a, b)
          if (result === -1) this.number = read()
          return result
        }
      case 3:
        return (a: unknown, b: unknown, c: unknown) => {
          const result = call(number, a, b, c)
          if (result === -1) this.number = read()
          return result
        }
      case 4:
        return (a: unknown, b: unknown, c: unknown, d: unknown) => {
          const result = call(number, a, b, c, d)
          if (result === -1) this.number = read()
          return result
        }
      case 5:
        return (a: unknown, b: unknown, c: unknown, d: unknown, e: unknown) => {
          const result = call(number, a, b, c, d, e)
          if (result === -1) this.number = read()
          return result
        }
      default:
        return (a: unknown, b: unknown, c: unknown, d: unknown, e: unknown, f: unknown) => {
          const result = call(number, a, b, c, d, e, f)
          if (result === -1) this.number = read()
          return result
        }
    }
  }
}

/**
 * The symbols of the process come first: they are those of the libc that Node itself runs on. Asking for
 * `libc.so.6` first would find the gcompat shim on Alpine.
 */
function openLibrary(koffi: typeof import('koffi')): LibraryHandle {
  const musl = `libc.musl-${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}.so.1`
  const causes: unknown[] = []
  for (const name of [null, 'libc.so.6', musl]) {
    try {
      const library = koffi.load(name)
      library.func('syscall', 'long', ['long'])
      return library
    } catch (error) {
      causes.push(error)
    }
  }
  throw new AggregateError(causes, 'libc cannot be loaded: neither glibc nor musl was found')
}

/**
 * A path, or any other text, for C. Bytes are copied to be NUL-terminated, unless they are already: a caller may so
 * prepare a name that it uses often.
 *
 * @throws SystemError EINVAL for a NUL anywhere else: the kernel would see less than what was checked
 */
export function cstring(path: Path): string | Buffer {
  if (typeof path === 'string') {
    if (path.includes('\0')) throw invalidPath(path)
    return path
  }
  const nul = path.indexOf(0)
  if (nul !== -1) {
    if (nul === path.length - 1) return path
    throw invalidPath(path.toString())
  }
  const terminated = Buffer.allocUnsafe(path.length + 1)
  path.copy(terminated)
  terminated[path.length] = 0
  return terminated
}

function invalidPath(path: string): SystemError {
  return new SystemError(22, {
    syscall: 'cstring',
    path: path.replaceAll('\0', String.raw`\0`),
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
  const context: SystemErrorContext = { syscall, path: shown(path), dest: shown(dest) }
  return new SystemError(lastError(syscall), context)
}

function shown(path: Path | undefined): string | undefined {
  return typeof path === 'object' && path.at(-1) === 0
    ? path.toString('utf8', 0, path.length - 1)
    : path?.toString()
}

/**
 * Where the bytes of a buffer are, for a record that is to say so. The caller sees to it that the buffer lives until the
 * record has been used.
 */
export function address(buffer: Buffer): bigint {
  return BigInt(libc('address').address(buffer))
}

/** `errno` of the call just made on this thread, positive. */
export function lastError(caller: string): number {
  return libc(caller).errno()
}
