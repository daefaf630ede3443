/** Why a case says nothing of a driver: reasons that several areas give. */
import type { Capabilities } from '../../capabilities.ts'

type Needs = (capabilities: Capabilities) => string | undefined

export const anyOwner: Needs = ({ ownership }) =>
  ownership === 'any' ? undefined : 'files cannot belong to anybody here'

export const deviceNodes: Needs = (capabilities) =>
  capabilities.deviceNodes ? undefined : 'device nodes cannot be made here'

export const allXattrs: Needs = ({ xattrs }) =>
  xattrs === 'all' ? undefined : 'a layer does not keep all extended attributes here'

export const securityXattrs: Needs = ({ xattrs }) =>
  xattrs === 'none' ? 'a layer keeps no extended attributes here' : undefined

export const nanosecondTimes: Needs = ({ timestamps }) =>
  timestamps === 'nanoseconds' ? undefined : 'a layer keeps times to the second here'
