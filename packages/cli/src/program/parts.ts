/** What commands are put together of. */
import { parseKeyValue, parseSize } from '@graphdriver/core'
import { Command, Option } from 'commander'
import { UsageError } from '../failure.ts'
import type { Invocation } from '../invocation.ts'
import { appendLimit } from '../limits.ts'
import { durabilities, type GlobalFlags, logLevels } from '../settings.ts'

/** Runs a command; the exit code is 0 where none is returned. */
export type Perform = (
  flags: GlobalFlags,
  action: (invocation: Invocation) => Promise<number | void>,
) => Promise<void>

export function sub(program: Command, name: string, description: string): Command {
  const command = withGlobals(new Command(name), 'Options everywhere:').description(description)
  command.copyInheritedSettings(program)
  program.addCommand(command)
  return command
}

/** Before the command's name or after it: the two mean the same. */
export function withGlobals(command: Command, group?: string): Command {
  const options = [
    new Option('--root <directory>', 'the data root'),
    new Option('--driver <name>', 'the storage driver, instead of the first that can serve'),
    new Option('--driver-option <key=value>', 'for the driver; may be repeated').argParser(appendPair),
    new Option('--read-only', 'change nothing in the data root, and nothing beside a dockerd that is alive'),
    new Option(
      '--durability <level>',
      'safe: all is on the disk when a command ends, the default; fast: names are, data is not; volatile: nothing is',
    ).choices(durabilities),
    new Option(
      '--limit <what=number>',
      'refuse images that have more: entries, depth or bytes of a layer, expansion of what is compressed; may be repeated',
    ).argParser(appendLimit),
    new Option('--json', 'print one JSON document'),
    new Option('--no-progress', 'show no progress'),
    new Option('--log-level <level>', 'how much to say on stderr').choices(logLevels),
    new Option('--verbose', 'the same as --log-level debug; errors with their stack'),
  ]
  for (const option of options) {
    // Docker's own word for something else.
    if (command.name() === 'run' && option.long === '--read-only') continue
    command.addOption(group === undefined ? option : option.helpGroup(group))
  }
  return command
}

/** What a new writable layer is limited to, where the driver can. */
export function storageOption(): Option {
  const about = 'of the new writable layer, such as size=10G or inodes=100000; may be repeated'
  return new Option('--storage-opt <key=value>', about).argParser(appendPair)
}

export function append(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value]
}

export function positiveInteger(text: string): number {
  if (/^[1-9]\d{0,6}$/.test(text)) return Number(text)
  throw new UsageError(`'${text}' is no whole number above 0`)
}

export function byteCount(text: string): number {
  try {
    return parseSize('rate', text)
  } catch {
    throw new UsageError(`'${text}' is no number of bytes; write it as 50M or 1G`)
  }
}

function appendPair(
  text: string,
  before: Readonly<Record<string, string>> = {},
): Readonly<Record<string, string>> {
  try {
    const [key, value] = parseKeyValue(text)
    return { ...before, [key]: value }
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error), { cause: error })
  }
}
