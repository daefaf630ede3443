/** What several areas need of a driver and its host, in the words of the reports. */
import type { Capabilities } from '../capabilities.ts'
import type { Requirement } from './host/requirement.ts'

export function anyOwner({ ownership }: Capabilities): string | undefined {
  return ownership === 'any' ? undefined : 'files cannot belong to anybody here'
}

export function allXattrs({ xattrs }: Capabilities): string | undefined {
  return xattrs === 'all' ? undefined : 'layers do not keep all extended attributes'
}

export function capabilityXattr({ xattrs }: Capabilities): string | undefined {
  return xattrs === 'none' ? 'layers keep no extended attributes' : undefined
}

/** A driver that compares times sees only as much as they say. */
export function fineDifferences({ timestamps, diff }: Capabilities): string | undefined {
  return timestamps === 'nanoseconds' || diff.native ? undefined : 'whole trees are compared by whole seconds'
}

/** Recipes set attributes with the one program, and trees are read with the other. */
export const attrCommands: readonly Requirement[] = [
  { root: true },
  { command: 'setfattr', package: 'attr' },
  { command: 'getfattr', package: 'attr' },
]

/** cap_net_raw+ep, in the second revision of the kernel's format. */
export const netRawCapability = '0x0100000200200000000000000000000000000000'
