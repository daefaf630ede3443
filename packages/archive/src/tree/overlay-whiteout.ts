import { S, type Stat } from '@graphdriver/sys'

/** overlayfs' record of a deletion: a character device 0:0, of which newer kernels hard-link one for all. */
export function isOverlayWhiteout(stat: Stat): boolean {
  return (stat.mode & S.IFMT) === S.IFCHR && stat.rdevMajor === 0 && stat.rdevMinor === 0
}
