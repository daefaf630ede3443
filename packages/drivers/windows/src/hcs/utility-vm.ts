/** The virtual machine of a layer, which begins as that of the layer below and shares its files. */
import { linkSync, mkdirSync, readdirSync } from 'node:fs'
import path from 'node:path'
import { BackupFile } from '@graphdriver/sys/windows'
import { fileAttribute, invalidLayer } from '@graphdriver/windows-layer'
import { changedByWindows } from './layout.ts'
import { infoOf } from './times.ts'

export const utilityVm = 'UtilityVM'

/** @throws GD_ARCHIVE_INVALID where the layer below has none */
export function cloneUtilityVm(below: string, layer: string): void {
  const source = path.join(below, utilityVm, 'Files')
  const target = path.join(layer, utilityVm, 'Files')
  mkdirSync(path.join(layer, utilityVm))
  cloneDirectory(source, target, `${utilityVm}/Files`)
}

function cloneDirectory(source: string, target: string, name: string): void {
  let names: readonly string[]
  try {
    names = readdirSync(source)
  } catch (cause) {
    throw Object.assign(invalidLayer('the layer below has no virtual machine to begin with', name), { cause })
  }
  mkdirSync(target)
  for (const child of names) {
    const [from, to] = [path.join(source, child), path.join(target, child)]
    const { attributes } = infoOf(from)
    const isReparsePoint = (attributes & fileAttribute.reparsePoint) !== 0
    const full = `${name}/${child}`
    if ((attributes & fileAttribute.directory) !== 0 && !isReparsePoint) cloneDirectory(from, to, full)
    // Windows writes to these: the layer below would have them too.
    else if (isReparsePoint || changedByWindows.has(full.toLowerCase())) copyFile(from, to, attributes)
    else linkSync(from, to)
  }
  copyStreams(source, target, 'openExisting')
}

function copyFile(from: string, to: string, attributes: number): void {
  const isDirectory = (attributes & fileAttribute.directory) !== 0
  if (isDirectory) mkdirSync(to)
  copyStreams(from, to, isDirectory ? 'openExisting' : 'createNew')
}

function copyStreams(from: string, to: string, how: 'openExisting' | 'createNew'): void {
  using source = BackupFile.openToRead(from)
  using target = BackupFile.openToWrite(to, how)
  const buffer = Buffer.alloc(256 * 1024)
  for (let length = source.read(buffer, true); length > 0; length = source.read(buffer, true))
    target.write(buffer.subarray(0, length), true)
  target.setBasicInfo(source.basicInfo())
}
