/** DLLs by their absolute path: never one that lies beside the program. They are loaded when first called. */
import { createRequire } from 'node:module'
import path from 'node:path'
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
