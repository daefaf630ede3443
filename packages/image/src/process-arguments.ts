import { GraphDriverError } from '@graphdriver/core'
import type { ImageConfig } from './image-config.ts'

/**
 * What to execute: the image's entry point, followed by `args` or, in their absence, by its default command.
 *
 * @throws GD_PROCESS_INVALID when that is nothing
 */
export function processArguments(
  config: Pick<ImageConfig, 'config'>,
  args: readonly string[] = [],
): readonly string[] {
  const { Entrypoint, Cmd } = config.config
  const all = [...Entrypoint, ...(args.length > 0 ? args : Cmd)]
  if (all.length > 0) return all
  const message = 'image has neither an entry point nor a command; say what to run'
  throw new GraphDriverError('GD_PROCESS_INVALID', message, { field: 'args' })
}
