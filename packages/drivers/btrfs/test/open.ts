/** What the cases share: a driver on a real filesystem, and a few words for what they do with it. */
import { filesystemRequirements, need, workbench } from '@tooling/lab'
import btrfs from '../src/index.ts'

export { id, makeLayer } from '@tooling/lab'

export const { homeOf, openAt, openOn } = workbench(btrfs)

/** Why cases cannot run here, if they cannot. */
export const missing = need({ root: true }, ...filesystemRequirements('btrfs'))
