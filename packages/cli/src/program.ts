/** The command line: every command with its options. What a command does is imported when it is called. */
import { Command, type CommanderError } from 'commander'
import { UsageError } from './failure.ts'
import { addCare, addCompletion, addHostCommands } from './program/host-commands.ts'
import { addImageCommands } from './program/image-commands.ts'
import { addLayerCommands } from './program/layer-commands.ts'
import { type Perform, withGlobals } from './program/parts.ts'
import { addExaminations, addServices } from './program/service-commands.ts'

/** What help says after all else. */
export const notes = `
Exit codes:
  0        done
  1        failed, or check has found damage; stderr says why, with --json as {"error":{"code","message","details"}}
  2        the command line is wrong
  125      run: graphdriver or the runtime failed
  126      run: the command in the image cannot be executed
  127      run: the command is not in the image
  128 + n  ended by signal n; 130 for Ctrl-C, 143 for SIGTERM
  other    run: the exit code of the process

As root the data root is /var/lib/graphdriver; an ordinary user has one in $XDG_DATA_HOME/graphdriver or
~/.local/share/graphdriver, and the command starts itself again in a user namespace. GRAPHDRIVER_ROOT and
GRAPHDRIVER_DRIVER stand for --root and --driver.`

/** @param perform is given what the user asked for, once */
export function createProgram(perform: Perform, version: string): Command {
  const program = withGlobals(new Command('graphdriver'))
    .description('Loads container images, shows their layers and runs them.')
    .version(version, '--version', 'print the version')
    .helpOption('-h, --help', 'explain')
    .helpCommand(false)
    .enablePositionalOptions()
    .showSuggestionAfterError()
    .configureOutput({ outputError: () => undefined })
    .addHelpText('after', notes)
  addImageCommands(program, perform)
  addLayerCommands(program, perform)
  addHostCommands(program, perform)
  addCare(program, perform)
  addServices(program, perform)
  addExaminations(program, perform)
  addCompletion(program, perform)
  for (const command of [program, ...program.commands]) command.exitOverride(rethrow)
  return program
}

function rethrow(error: CommanderError): never {
  if (error.exitCode === 0) throw error
  throw new UsageError(error.message.replace(/^error: /, ''))
}
