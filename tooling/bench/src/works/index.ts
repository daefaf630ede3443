import type { Work } from '../work.ts'
import { listWork, removalWork, startWork } from './alone.ts'
import { copyWork } from './copy.ts'
import { differenceWork } from './difference.ts'
import { loadWorks } from './load.ts'
import { manyWritableWork } from './many-writable.ts'
import { btrfsDifferenceWork, zfsDifferenceWork } from './native-difference.ts'
import { saveWork } from './save.ts'
import { smallFilesWork } from './small-files.ts'
import { writableWorks } from './writable.ts'

/** All that is measured, in the order of the report. */
export const works: readonly Work[] = [
  ...loadWorks,
  smallFilesWork,
  ...writableWorks,
  manyWritableWork,
  differenceWork,
  btrfsDifferenceWork,
  zfsDifferenceWork,
  saveWork,
  copyWork('btrfs'),
  copyWork('xfs'),
  removalWork,
  listWork,
  startWork,
]
