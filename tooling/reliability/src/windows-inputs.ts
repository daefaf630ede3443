/** Layers of Windows, with something of each kind that they have. */
import { fileAttribute, type LayerEntry, type WindowsFile, writeLayer } from '@graphdriver/windows-layer'

/** Of hundreds of nanoseconds, as Windows has it. */
const time = 1_500_000_000_123_456_700n

function file(
  name: string,
  content: string,
  more: Partial<WindowsFile> & Pick<Partial<LayerEntry>, 'streams'> = {},
): LayerEntry {
  const { streams = [], ...words } = more
  const metadata: WindowsFile = {
    name,
    attributes: fileAttribute.archive,
    created: time,
    written: time,
    accessed: time,
    changed: time,
    security: undefined,
    extendedAttributes: [],
    reparsePoint: undefined,
    size: Buffer.byteLength(content),
    ...words,
  }
  return { kind: 'file', name, content: Buffer.from(content), streams, file: metadata }
}

function directory(name: string): LayerEntry {
  return file(name, '', { attributes: fileAttribute.directory })
}

const none = { content: Buffer.alloc(0), streams: [] } as const

const base: readonly LayerEntry[] = [
  directory('Files'),
  directory('Files/Windows'),
  file('Files/Windows/notepad.exe', 'MZ'.repeat(4500), {
    streams: [['Zone.Identifier', Buffer.from('[ZoneTransfer]')]],
    attributes: fileAttribute.readonly | fileAttribute.archive,
  }),
  { ...none, kind: 'link', name: 'Files/Windows/other', target: 'Files/Windows/notepad.exe' },
  directory('Files/etc'),
  file('Files/etc/passwd', 'Administrator'),
  directory('Files/old'),
  file('Files/old/one', '1'),
  directory('Hives'),
  file('Hives/System_Delta', 'regf'),
]

const middle: readonly LayerEntry[] = [
  directory('Files'),
  directory('Files/srv'),
  ...Array.from({ length: 12 }, (_, index) => file(`Files/srv/file${index}`, 'm'.repeat(1000 * index))),
  { ...none, kind: 'remove', name: 'Files/old/one' },
]

const top: readonly LayerEntry[] = [
  directory('Files'),
  directory('Files/srv'),
  file('Files/srv/file3', 't'.repeat(70_000)),
  file('Files/link', '', {
    attributes: fileAttribute.reparsePoint,
    reparsePoint: { kind: 'symlink', target: String.raw`Windows\notepad.exe` },
  }),
]

export const windowsLayers: readonly Buffer[] = [base, middle, top].map(writeLayer)
