import aufs from '@graphdriver/aufs'
import btrfs from '@graphdriver/btrfs'
import { differentialCases, subjectOf } from '@graphdriver/core/conformance'
import { conformance } from '@graphdriver/core/conformance/vitest'
import overlay from '@graphdriver/overlay'
import overlay2 from '@graphdriver/overlay2'
import vfs from '@graphdriver/vfs'
import { filesystemLab } from '@tooling/lab'
import { walked } from '../src/walked.ts'

for (const [definition, kind] of [
  [overlay2, 'ext4'],
  [overlay2, 'btrfs'],
  [overlay, 'ext4'],
  [aufs, 'ext4'],
  [btrfs, 'btrfs'],
] as const) {
  conformance(definition, {
    name: `${definition.name} against vfs`,
    lab: filesystemLab(kind),
    cases: differentialCases(subjectOf(vfs)),
  })
}

for (const [definition, kind] of [
  [overlay2, 'ext4'],
  [aufs, 'ext4'],
  [btrfs, 'btrfs'],
] as const) {
  const without = { name: `${definition.name} without native diffs` }
  conformance(definition, {
    name: `${definition.name} against its own layers, walked`,
    lab: filesystemLab(kind),
    cases: differentialCases(subjectOf(walked<unknown>(definition), without)),
  })
}
