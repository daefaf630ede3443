import { BackupFile, type BasicInfo } from '@graphdriver/sys/windows'
import { fileTimeOf, nanosecondsOf, type WindowsFile } from '@graphdriver/windows-layer'
import { fileIn } from './layout.ts'

export type Times = Pick<WindowsFile, 'created' | 'written' | 'accessed' | 'changed'>

/** @param attributes 0 to leave them as they are */
export function basicInfoOf(times: Times, attributes: number): BasicInfo {
  return {
    created: fileTimeOf(times.created),
    accessed: fileTimeOf(times.accessed),
    written: fileTimeOf(times.written),
    changed: fileTimeOf(times.changed),
    attributes,
  }
}

export function timesOf({ created, accessed, written, changed }: BasicInfo): Times {
  return {
    created: nanosecondsOf(created),
    accessed: nanosecondsOf(accessed),
    written: nanosecondsOf(written),
    changed: nanosecondsOf(changed),
  }
}

/** What Windows tells of a file. @throws WindowsError */
export function infoOf(file: string): BasicInfo {
  using opened = BackupFile.openToRead(file)
  return opened.basicInfo()
}

/** What is made in directories moves their times: gives them those that they are to have, the deepest first. */
export function setDirectoryTimes(folder: string, directories: readonly WindowsFile[]): void {
  for (const directory of directories.toReversed()) {
    using opened = BackupFile.openToWrite(fileIn(folder, directory.name), 'openExisting')
    opened.setBasicInfo(basicInfoOf(directory, 0))
  }
}
