import { fileAttribute, type LayerEntry } from '@graphdriver/windows-layer'
import { descriptor, directory, file, link } from './workplace.ts'

/** A layer with all that Windows' filesystems keep. */
export const base = [
  directory('Files', { attributes: 0x10 }),
  directory('Files/Windows', { attributes: 0x16, security: descriptor(0x1200a9) }),
  file('Files/Windows/notepad.exe', {
    content: 'MZ',
    attributes: fileAttribute.readonly | fileAttribute.hidden | fileAttribute.archive,
    streams: { 'Zone.Identifier': '[ZoneTransfer]', second: '' },
    extendedAttributes: [
      ['ONE', Buffer.from('first')],
      ['TWO', Buffer.from([0, 255, 1])],
    ],
  }),
  file('Files/Windows/linked', { content: 'linked' }),
  link('Files/Windows/other name', 'Files/Windows/linked'),
  file('Files/link', {
    attributes: fileAttribute.reparsePoint,
    reparsePoint: { kind: 'symlink', target: 'Windows\\notepad.exe' },
  }),
  file('Files/mount', {
    attributes: fileAttribute.reparsePoint | fileAttribute.directory,
    reparsePoint: { kind: 'mount-point', target: 'C:\\Windows' },
  }),
  directory('Hives'),
  file('Hives/System_Delta', { content: 'regf', security: undefined }),
]

/** A descriptor that the layer leaves out, the filesystem gives. */
export function withoutSecurity(entries: readonly LayerEntry[]): readonly LayerEntry[] {
  return entries.map((entry) =>
    entry.file === undefined || !entry.name.startsWith('Hives/')
      ? entry
      : { ...entry, file: { ...entry.file, security: undefined } },
  )
}
