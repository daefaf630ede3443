import { conformance } from '@graphdriver/core/conformance/vitest'
import { filesystemLab } from '@tooling/lab'
import windows from '../src/index.ts'

conformance(windows, {
  name: 'windows (ntfs)',
  lab: filesystemLab('ntfs'),
  module: new URL('../dist/index.js', import.meta.url),
  report: '.turbo/conformance.json',
  deviations: {
    'mount/open-file-deleted':
      'the FUSE library under ntfs-3g keeps an open file under another name, so it counts one link',
    'history/open-file': 'a file that is open keeps its layer’s directory until it is closed; remove says so',
  },
})
