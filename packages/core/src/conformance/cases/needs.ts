/** What several areas need of a driver and its host, in the words of the reports. */
import type { Capabilities } from '../../capabilities.ts'
import type { Requirement } from '../host/requirement.ts'

type Needs = (capabilities: Capabilities) => string | undefined

export const anyOwner: Needs = ({ ownership }) =>
  ownership === 'any' ? undefined : 'files cannot belong to anybody here'

export const mappedOwners: Needs = (capabilities) =>
  capabilities.mappedOwners ? undefined : 'layers are shown with their own owners only here'

export const deviceNodes: Needs = (capabilities) =>
  capabilities.deviceNodes ? undefined : 'device nodes cannot be made here'

export const allXattrs: Needs = ({ xattrs }) =>
  xattrs === 'all' ? undefined : 'layers do not keep all extended attributes here'

/** File capabilities are an attribute too, and the one that even a driver without others should keep. */
export const securityXattrs: Needs = ({ xattrs }) =>
  xattrs === 'none' ? 'layers keep no extended attributes here' : undefined

export const nanosecondTimes: Needs = ({ timestamps }) =>
  timestamps === 'nanoseconds' ? undefined : 'layers do not keep times to the nanosecond here'

export const unixModes: Needs = ({ ownership }) =>
  ownership === 'none' ? 'files have no modes of Unix here' : undefined

/** Names that Windows would not take, or take for each other. */
export const unixNames: Needs = ({ names }) =>
  names === 'windows' ? 'names are those of Windows here' : undefined

/** What an open file, a socket and a program are to Unix. */
export const unixFiles: Needs = ({ ownership }) =>
  ownership === 'none' ? 'files are those of Windows here' : undefined

export const hardLinks: Needs = (capabilities) =>
  capabilities.hardLinks ? undefined : 'layers do not keep hard links here'

export const anyNames: Needs = ({ names }) =>
  names === 'bytes' ? undefined : 'names are Unicode without colons here'

export const unicodeNames: Needs = ({ names }) =>
  names === 'unicode' ? undefined : 'names may be other ones here'

/** A driver that compares times sees only as much as they say. */
export const fineDifferences: Needs = ({ timestamps, diff }) =>
  timestamps !== 'seconds' || diff.native ? undefined : 'whole trees are compared by whole seconds'

/** Recipes set attributes with the one program, and trees are read with the other. */
export const attrCommands: readonly Requirement[] = [
  { root: true },
  { command: 'setfattr', package: 'attr' },
  { command: 'getfattr', package: 'attr' },
]

/** cap_net_raw+ep, in the second revision of the kernel's format. */
export const netRawCapability = '0x0100000200200000000000000000000000000000'
