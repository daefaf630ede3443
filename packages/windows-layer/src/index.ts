export {
  type BackupHandler,
  backupHeader,
  BackupParser,
  backupStream,
  type BackupStream,
  streamAttribute,
  streamId,
  type StreamId,
} from './layer/backup-stream.ts'
export {
  alternateHeader,
  type BackupMetadata,
  ContentReader,
  type ContentSink,
  leadingStreams,
  MetadataCollector,
} from './layer/backup-file.ts'
export {
  decodeExtendedAttributes,
  encodeExtendedAttributes,
  type ExtendedAttribute,
} from './layer/extended-attributes.ts'
export { fileAttribute, isWindowsHeader, type WindowsFile } from './layer/file.ts'
export { invalidLayer, unsupportedLayer } from './layer/invalid.ts'
export { fileTimeOf, nanosecondsOf } from './layer/file-time.ts'
export { type LayerEntry, readLayer, writeLayer } from './layer/in-memory.ts'
export { decodeReparsePoint, encodeReparsePoint, type ReparsePoint } from './layer/reparse-point.ts'
export { descriptorOf } from './layer/sddl.ts'
export { isReservedName, LayerEntries, type LayerHandler, LayerTarReader } from './layer/tar-reader.ts'
export { LayerTarWriter } from './layer/tar-writer.ts'
