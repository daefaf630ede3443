import { type DriverOptions, GraphDriverError, parseBoolean, rejectUnknownOptions } from '@graphdriver/core'
import { parseQuotaOptions, type QuotaOptions, quotaOptionNames } from '@graphdriver/quota'

/** What the host can do is found out, not configured; what its layers may hold is for its users to say. */
export interface Overlay2Options extends QuotaOptions {
  /**
   * A program that mounts instead of the kernel, such as fuse-overlayfs; by default that, where the kernel cannot and it is
   * installed; `none` for never.
   */
  readonly mountProgram: string | undefined
}

/**
 * `override_kernel_check` is accepted and without effect, as in Docker 20.10, so that its configurations open here.
 *
 * @throws GD_INVALID_OPTION
 */
export function parseOptions(options: DriverOptions): Overlay2Options {
  rejectUnknownOptions('overlay2', options, [...quotaOptionNames, 'mount_program', 'override_kernel_check'])
  const override = options['override_kernel_check']
  if (override !== undefined) parseBoolean('override_kernel_check', override)
  const mountProgram = options['mount_program']
  if (mountProgram === '')
    throw new GraphDriverError('GD_INVALID_OPTION', "overlay2: option 'mount_program' names no program", {
      option: 'mount_program',
      value: mountProgram,
    })
  return { ...parseQuotaOptions('overlay2', options), mountProgram }
}
