/** The command line: every command with its options. What a command does is imported when it is called. */
import { parseKeyValue, parseSize } from '@graphdriver/core'
import { Command, type CommanderError, Option } from 'commander'
import type { CheckFlags } from './commands/check.ts'
import type { GcFlags } from './commands/gc.ts'
import type { BenchFlags } from './commands/bench.ts'
import type { ConformanceFlags } from './commands/conformance.ts'
import type { ContainerdSnapshotterFlags } from './commands/containerd-snapshotter.ts'
import type { CommitFlags } from './commands/commit.ts'
import type { DiffFlags } from './commands/diff.ts'
import type { DockerPluginFlags } from './commands/docker-plugin.ts'
import type { LoadFlags } from './commands/load.ts'
import type { MigrateFlags } from './commands/migrate.ts'
import type { MountFlags } from './commands/mount.ts'
import type { PullFlags } from './commands/pull.ts'
import type { PushFlags } from './commands/push.ts'
import type { RepairFlags } from './commands/repair.ts'
import type { RmFlags } from './commands/rm.ts'
import type { RmiFlags } from './commands/rmi.ts'
import type { RunFlags } from './commands/run.ts'
import type { SaveFlags } from './commands/save.ts'
import { UsageError } from './failure.ts'
import type { Invocation } from './invocation.ts'
import { appendLimit } from './limits.ts'
import { durabilities, type GlobalFlags, logLevels } from './settings.ts'

/** Runs a command; the exit code is 0 where none is returned. */
export type Perform = (
  flags: GlobalFlags,
  action: (invocation: Invocation) => Promise<number | void>,
) => Promise<void>

const exitCodes = `
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
    .addHelpText('after', exitCodes)
  addImageCommands(program, perform)
  addLayerCommands(program, perform)
  addHostCommands(program, perform)
  addCare(program, perform)
  addServices(program, perform)
  addExaminations(program, perform)
  for (const command of [program, ...program.commands]) command.exitOverride(rethrow)
  return program
}

function addImageCommands(program: Command, perform: Perform): void {
  sub(program, 'load', 'load images: docker save archives, OCI layouts, tars of them')
    .argument('<file...>')
    .option(
      '--platform <os/architecture>',
      'of images that have several, or are for another system than this',
    )
    .action((files: string[], flags: LoadFlags, command: Command) =>
      perform(command.optsWithGlobals(), async (call) =>
        (await import('./commands/load.ts')).load(call, files, flags),
      ),
    )
  sub(program, 'pull', 'load images from a registry')
    .argument('<image...>')
    .option('--platform <os/architecture>', 'of images that have several')
    .option('--mirror <address>', 'ask there first, such as https://mirror.example; may be repeated', append)
    .option('--plain-http', 'without TLS')
    .action((names: string[], flags: PullFlags, command: Command) =>
      perform(command.optsWithGlobals(), async (call) =>
        (await import('./commands/pull.ts')).pull(call, names, flags),
      ),
    )
  sub(program, 'push', 'give an image to a registry, the one that its name says')
    .argument('<image>')
    .argument('[name]', 'another name for it there')
    .option('--plain-http', 'without TLS')
    .action((word: string, as: string | undefined, flags: PushFlags, command: Command) =>
      perform(command.optsWithGlobals(), async (call) =>
        (await import('./commands/push.ts')).push(call, word, as, flags),
      ),
    )
  sub(program, 'save', 'write images as one tar, which docker, podman and skopeo read')
    .argument('<image...>')
    .option('-o, --output <file>', 'instead of stdout')
    .action((words: string[], flags: SaveFlags, command: Command) =>
      perform(command.optsWithGlobals(), async (call) =>
        (await import('./commands/save.ts')).save(call, words, flags),
      ),
    )
  sub(program, 'tag', 'give an image further names')
    .argument('<image>')
    .argument('<name...>')
    .action((word: string, names: string[], _: object, command: Command) =>
      perform(command.optsWithGlobals(), async (call) =>
        (await import('./commands/tag.ts')).tag(call, word, names),
      ),
    )
  sub(program, 'commit', 'make an image of what was written to a writable layer')
    .argument('<name>')
    .argument('[image]', 'its name')
    .option('-a, --author <author>', 'who made it')
    .option('-m, --message <text>', 'what was changed')
    .action((name: string, image: string | undefined, flags: CommitFlags, command: Command) =>
      perform(command.optsWithGlobals(), async (call) =>
        (await import('./commands/commit.ts')).commit(call, name, image, flags),
      ),
    )
  sub(program, 'images', 'list images').action((_: object, command: Command) =>
    perform(command.optsWithGlobals(), async (call) => (await import('./commands/images.ts')).images(call)),
  )
  sub(program, 'layers', 'list all layers, or the stack of an image from the top down')
    .argument('[image]')
    .action((image: string | undefined, _: object, command: Command) =>
      perform(command.optsWithGlobals(), async (call) =>
        (await import('./commands/layers.ts')).layers(call, image),
      ),
    )
  sub(program, 'rmi', 'remove an image name; with its last name the image and the layers that only it needs')
    .argument('<image...>')
    .option('-f, --force', 'remove all its names')
    .action((words: string[], flags: RmiFlags, command: Command) =>
      perform(command.optsWithGlobals(), async (call) =>
        (await import('./commands/rmi.ts')).rmi(call, words, flags),
      ),
    )
}

function addLayerCommands(program: Command, perform: Perform): void {
  addRun(program, perform)
  sub(program, 'mount', 'mount a writable layer, of an image a new one, and leave it mounted; prints where')
    .argument('<image|name>')
    .option('--name <name>', 'of the new writable layer')
    .addOption(storageOption())
    .action((word: string, flags: MountFlags, command: Command) =>
      perform(command.optsWithGlobals(), async (call) =>
        (await import('./commands/mount.ts')).mount(call, word, flags),
      ),
    )
  sub(program, 'unmount', 'undo mount; the writable layer stays')
    .argument('<name...>')
    .action((names: string[], _: object, command: Command) =>
      perform(command.optsWithGlobals(), async (call) =>
        (await import('./commands/unmount.ts')).unmount(call, names),
      ),
    )
  sub(program, 'changes', 'list what was written to a writable layer')
    .argument('<name>')
    .action((name: string, _: object, command: Command) =>
      perform(command.optsWithGlobals(), async (call) =>
        (await import('./commands/changes.ts')).changes(call, name),
      ),
    )
  sub(program, 'diff', "write a tar: a writable layer's changes, a layer as it was loaded, or a whole image")
    .argument('<image|name|layer>')
    .option('-o, --output <file>', 'instead of stdout')
    .action((word: string, flags: DiffFlags, command: Command) =>
      perform(command.optsWithGlobals(), async (call) =>
        (await import('./commands/diff.ts')).diff(call, word, flags),
      ),
    )
  sub(program, 'inspect', 'print all that is known of an image, writable layer or layer, as JSON')
    .argument('<image|name|layer>')
    .action((word: string, _: object, command: Command) =>
      perform(command.optsWithGlobals(), async (call) =>
        (await import('./commands/inspect.ts')).inspect(call, word),
      ),
    )
  sub(program, 'rm', 'remove writable layers')
    .argument('<name...>')
    .option('-f, --force', 'also if mounted')
    .action((names: string[], flags: RmFlags, command: Command) =>
      perform(command.optsWithGlobals(), async (call) =>
        (await import('./commands/rm.ts')).rm(call, names, flags),
      ),
    )
}

function addRun(program: Command, perform: Perform): void {
  sub(program, 'run', 'run a process on a new writable layer of an image, or of the image in a file')
    .passThroughOptions()
    .usage('[options] <image|file> [--] [command...]')
    .argument('<image|file>')
    .argument('[command...]', "instead of the image's own")
    .option('--name <name>', 'of the writable layer, which is kept')
    .addOption(storageOption())
    .option('--keep', 'keep the writable layer')
    .option('--rm', 'remove the writable layer in any case')
    .addOption(
      new Option('--runtime <name>', 'instead of the first that works').choices(['runc', 'crun', 'chroot']),
    )
    .option('-e, --env <name=value>', 'set a variable; may be repeated', append)
    .option('-w, --workdir <directory>', 'in the container')
    .option('-u, --user <user[:group]>', 'names or numbers')
    .option('--hostname <name>', "the container's")
    .option('--read-only', 'the process cannot write to its root filesystem')
    .action((word: string, rest: string[], flags: RunFlags, command: Command) => {
      const args = rest[0] === '--' ? rest.slice(1) : rest
      // The other meaning of the word is the program's, before the command's name.
      const { readOnly } = command.parent?.opts<GlobalFlags>() ?? {}
      return perform({ ...command.optsWithGlobals<GlobalFlags>(), readOnly }, async (call) =>
        (await import('./commands/run.ts')).run(call, word, args, flags),
      )
    })
}

function addHostCommands(program: Command, perform: Perform): void {
  sub(program, 'info', 'show the data root, its driver and why that one, what is in it').action(
    (_: object, command: Command) =>
      perform(command.optsWithGlobals(), async (call) => (await import('./commands/info.ts')).info(call)),
  )
  sub(program, 'drivers', 'list the storage drivers: which can serve here, and why the others cannot').action(
    (_: object, command: Command) =>
      perform(command.optsWithGlobals(), async (call) =>
        (await import('./commands/drivers.ts')).drivers(call),
      ),
  )
}

function addCare(program: Command, perform: Perform): void {
  sub(
    program,
    'migrate',
    'move all images and writable layers from one driver to another; the source is kept until --finish',
  )
    .option('--from <driver>', 'whose they are')
    .option('--to <driver>', 'whose they are to be')
    .option('--dry-run', 'only tell what would be moved, and how much room it takes')
    .option('--finish', 'delete what was moved and is kept')
    .action((flags: MigrateFlags, command: Command) =>
      perform(command.optsWithGlobals(), async (call) =>
        (await import('./commands/migrate.ts')).migrate(call, flags),
      ),
    )
  sub(
    program,
    'check',
    'look whether all that is stored is there; changes nothing, and exits with 1 for damage',
  )
    .argument('[image|layer...]')
    .option('--full', 'read every byte of image layers, and compare it with what was loaded')
    .option('--rate <bytes>', 'with --full, read no more than this in a second, such as 50M', byteCount)
    .action((words: string[], flags: CheckFlags, command: Command) =>
      perform(command.optsWithGlobals(), async (call) =>
        (await import('./commands/check.ts')).check(call, words, flags),
      ),
    )
  sub(program, 'scrub', 'check --full at a slow pace, for a root that is in use')
    .argument('[image|layer...]')
    .option('--rate <bytes>', 'to read in a second, at the most; by default 32M', byteCount)
    .action((words: string[], flags: CheckFlags, command: Command) =>
      perform(command.optsWithGlobals(), async (call) =>
        (await import('./commands/check.ts')).check(call, words, {
          full: true,
          rate: flags.rate ?? scrubRate,
        }),
      ),
    )
  sub(
    program,
    'repair',
    'make damaged image layers again from files or registries, with all that stands on them',
  )
    .option('--from <file...>', 'docker save archives, OCI layouts, tars of them')
    .option('--pull <image...>', 'names of images in registries')
    .option('--plain-http', 'registries without TLS')
    .action((flags: RepairFlags, command: Command) =>
      perform(command.optsWithGlobals(), async (call) =>
        (await import('./commands/repair.ts')).repair(call, flags),
      ),
    )
  sub(
    program,
    'gc',
    'delete what nobody needs: what processes left that were killed, layers that no record names',
  )
    .option('-n, --dry-run', 'only tell what, how large it is, and why')
    .option('--quarantined', 'what repairs have replaced too')
    .action((flags: GcFlags, command: Command) =>
      perform(command.optsWithGlobals(), async (call) => (await import('./commands/gc.ts')).gc(call, flags)),
    )
}

/** Bytes a second that leave a disk to those who work with it. */
const scrubRate = 32 * 1024 * 1024

function addServices(program: Command, perform: Perform): void {
  sub(program, 'containerd-snapshotter', 'serve a storage driver to containerd, as a proxy plugin')
    .option(
      '--socket <path>',
      "containerd's address for it; by default /run/graphdriver/containerd-<driver>.sock",
    )
    .option(
      '--budget <seconds>',
      'until a call that waits for the disk is given up; by default 60',
      positiveInteger,
    )
    .action((flags: ContainerdSnapshotterFlags, command: Command) =>
      perform(command.optsWithGlobals(), async (call) =>
        (await import('./commands/containerd-snapshotter.ts')).containerdSnapshotter(call, flags),
      ),
    )
  sub(
    program,
    'docker-plugin',
    'serve a storage driver to dockerd, which keeps its images and containers in it',
  )
    .option('--name <name>', 'by which dockerd has it; by default graphdriver-<driver>')
    .option('--socket <path>', "instead of the name's in /run/docker/plugins")
    .action((flags: DockerPluginFlags, command: Command) =>
      perform(command.optsWithGlobals(), async (call) =>
        (await import('./commands/docker-plugin.ts')).dockerPlugin(call, flags),
      ),
    )
}

function addExaminations(program: Command, perform: Perform): void {
  sub(program, 'conformance', 'run the conformance suite on a storage driver, in fresh directories')
    .argument('[driver]', 'a name, a package, or the path of a module')
    .option('--case <pattern>', "only this one: an id, 'tree', 'tree/*'; may be repeated", append)
    .option('--directory <directory>', "where to work, instead of the system's temporary directory")
    .option('--list', 'list the cases and run none')
    .option('--report <file>', 'add the results to a conformance.json')
    .option('--against <driver>', 'do the same random deeds in another driver, and compare')
    .action((driver: string | undefined, flags: ConformanceFlags, command: Command) =>
      perform(command.optsWithGlobals(), async (call) =>
        (await import('./commands/conformance.ts')).conformance(call, driver, flags),
      ),
    )
  sub(program, 'bench', 'measure a storage driver, in fresh directories')
    .argument('[driver]', 'a name, a package, or the path of a module')
    .option('--case <pattern>', "only this one: an id, 'diff-*'; may be repeated", append)
    .option('--directory <directory>', "where to work, instead of the system's temporary directory")
    .option('--list', 'list the cases and run none')
    .option('--rounds <number>', "instead of each case's own", positiveInteger)
    .addOption(new Option('--scale <scale>', 'how much to do').choices(['quick', 'standard', 'full']))
    .option('--layer <tar>', 'the tar of a layer, plain or gzip, to apply')
    .action((driver: string | undefined, flags: BenchFlags, command: Command) =>
      perform(command.optsWithGlobals(), async (call) =>
        (await import('./commands/bench.ts')).bench(call, driver, flags),
      ),
    )
}

function sub(program: Command, name: string, description: string): Command {
  const command = withGlobals(new Command(name), 'Options everywhere:').description(description)
  command.copyInheritedSettings(program)
  program.addCommand(command)
  return command
}

/** Before the command's name or after it: the two mean the same. */
function withGlobals(command: Command, group?: string): Command {
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
function storageOption(): Option {
  const about = 'of the new writable layer, such as size=10G or inodes=100000; may be repeated'
  return new Option('--storage-opt <key=value>', about).argParser(appendPair)
}

function append(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value]
}

function positiveInteger(text: string): number {
  if (/^[1-9]\d{0,6}$/.test(text)) return Number(text)
  throw new UsageError(`'${text}' is no whole number above 0`)
}

function byteCount(text: string): number {
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

function rethrow(error: CommanderError): never {
  if (error.exitCode === 0) throw error
  throw new UsageError(error.message.replace(/^error: /, ''))
}
