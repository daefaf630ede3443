/** DLLs by their absolute path: never one that lies beside the program. They are loaded when first called. */
import { createRequire } from 'node:module'
import path from 'node:path'
import { promisify } from 'node:util'
import type { LibraryHandle } from 'koffi'
import { UnsupportedPlatformError } from '../error.ts'

type Koffi = typeof import('koffi')

let loaded: Koffi | undefined

/** @throws UnsupportedPlatformError anywhere else */
export function koffi(caller: string): Koffi {
  if (process.platform !== 'win32')
    throw new UnsupportedPlatformError(caller, `not on ${process.platform}, only on Windows`)
  return (loaded ??= createRequire(import.meta.url)('koffi') as Koffi)
}

const libraries = new Map<string, LibraryHandle>()

export function systemLibrary(name: string): LibraryHandle {
  const library = libraries.get(name) ?? koffi(name).load(systemFile(name))
  libraries.set(name, library)
  return library
}

/** Where Windows has its own DLLs. */
export function systemFile(name: string): string {
  return path.win32.join(process.env['SystemRoot'] ?? 'C:\\Windows', 'System32', name)
}

/** A function that runs on a thread of the pool, for it may take long. @returns what it returned, an HRESULT or the like */
export type SlowCall = (...values: readonly unknown[]) => Promise<number>

/** @param signatures the parameters of each function of a DLL */
export function slowCalls<Name extends string>(
  library: string,
  signatures: Readonly<Record<Name, string>>,
): Readonly<Record<Name, SlowCall>> {
  const dll = systemLibrary(library)
  const bound = Object.entries(signatures).map(([name, parameters]) => {
    const native = promisify(dll.func(`int32_t __stdcall ${name}(${String(parameters)})`).async)
    const call: SlowCall = async (...values) => {
      const result: unknown = await native(...values)
      if (typeof result !== 'number') throw new TypeError(`${name} returned no number`)
      return result
    }
    return [name, call] as const
  })
  return Object.fromEntries(bound) as Readonly<Record<Name, SlowCall>>
}

/** A string that the callee has allocated (CoTaskMemAlloc), which is freed. */
export function takeString(pointer: unknown): string | undefined {
  if (pointer === null || pointer === undefined) return undefined
  const text: unknown = koffi('CoTaskMemFree').decode(pointer, 'char16_t', -1)
  systemLibrary('ole32.dll').func('void __stdcall CoTaskMemFree(void *memory)')(pointer)
  return String(text)
}
