import type { BasicInfo } from '@graphdriver/sys/windows'
import { fileTimeOf, nanosecondsOf, type WindowsFile } from '@graphdriver/windows-layer'

type Times = Pick<WindowsFile, 'created' | 'written' | 'accessed' | 'changed'>

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
