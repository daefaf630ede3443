/** Layers, writable ones above all. */
import { type Command, Option } from 'commander'
import type { CpFlags } from '../commands/cp.ts'
import type { DiffFlags } from '../commands/diff.ts'
import type { MountFlags } from '../commands/mount.ts'
import type { RmFlags } from '../commands/rm.ts'
import type { RunFlags } from '../commands/run.ts'
import type { TreeFlags } from '../commands/tree.ts'
import type { GlobalFlags } from '../settings.ts'
import { append, type Perform, storageOption, sub } from './parts.ts'

const usersMap = 'who in it is who on the host, such as 0:100000:65536; may be repeated'
const groupsMap = 'the same of groups; by default as users'

export function addLayerCommands(program: Command, perform: Perform): void {
  addRun(program, perform)
  sub(program, 'history', 'tell how an image was made, or what its layers did to a path')
    .argument('<image|name|layer>')
    .argument('[path]', 'in the image, such as /etc/passwd')
    .action((word: string, file: string | undefined, _: object, command: Command) =>
      perform(command.optsWithGlobals(), async (call) =>
        (await import('../commands/history.ts')).history(call, word, file),
      ),
    )
  sub(program, 'cp', 'copy out of an image or a writable layer, or into a writable layer; - is a tar')
    .argument('<source>', 'a path, NAME:/PATH, or -')
    .argument('<target>')
    .option('-a, --archive', 'keep owners; otherwise all is yours out here, and root’s in a layer')
    .action((source: string, target: string, flags: CpFlags, command: Command) =>
      perform(command.optsWithGlobals(), async (call) =>
        (await import('../commands/cp.ts')).cp(call, source, target, flags),
      ),
    )
  sub(program, 'mount', 'mount a writable layer, of an image a new one, and leave it mounted; prints where')
    .argument('<image|name>')
    .option('--name <name>', 'of the new writable layer')
    .addOption(storageOption())
    .option('--uidmap <inside:outside:count>', usersMap, append)
    .option('--gidmap <inside:outside:count>', groupsMap, append)
    .action((word: string, flags: MountFlags, command: Command) =>
      perform(command.optsWithGlobals(), async (call) =>
        (await import('../commands/mount.ts')).mount(call, word, flags),
      ),
    )
  sub(program, 'unmount', 'undo mount; the writable layer stays')
    .argument('<name...>')
    .action((names: string[], _: object, command: Command) =>
      perform(command.optsWithGlobals(), async (call) =>
        (await import('../commands/unmount.ts')).unmount(call, names),
      ),
    )
  sub(program, 'changes', 'list what was written to a writable layer')
    .argument('<name>')
    .action((name: string, _: object, command: Command) =>
      perform(command.optsWithGlobals(), async (call) =>
        (await import('../commands/changes.ts')).changes(call, name),
      ),
    )
  sub(program, 'diff', "write a tar: a writable layer's changes, a layer as it was loaded, or a whole image")
    .argument('<image|name|layer>')
    .option('-o, --output <file>', 'instead of stdout')
    .action((word: string, flags: DiffFlags, command: Command) =>
      perform(command.optsWithGlobals(), async (call) =>
        (await import('../commands/diff.ts')).diff(call, word, flags),
      ),
    )
  sub(program, 'tree', 'show what stands on what: layers, the images that share them, writable layers')
    .option('--svg <file>', 'as a picture')
    .action((flags: TreeFlags, command: Command) =>
      perform(command.optsWithGlobals(), async (call) =>
        (await import('../commands/tree.ts')).tree(call, flags),
      ),
    )
  sub(program, 'df', 'show what takes how much room, without walking any tree').action(
    (_: object, command: Command) =>
      perform(command.optsWithGlobals(), async (call) => (await import('../commands/df.ts')).df(call)),
  )
  sub(program, 'explain', 'say whose something is, who holds it, and why it is kept')
    .argument('<image|name|layer|path>')
    .action((word: string, _: object, command: Command) =>
      perform(command.optsWithGlobals(), async (call) =>
        (await import('../commands/explain.ts')).explain(call, word),
      ),
    )
  sub(program, 'inspect', 'print all that is known of an image, writable layer or layer, as JSON')
    .argument('<image|name|layer>')
    .action((word: string, _: object, command: Command) =>
      perform(command.optsWithGlobals(), async (call) =>
        (await import('../commands/inspect.ts')).inspect(call, word),
      ),
    )
  sub(program, 'rm', 'remove writable layers')
    .argument('<name...>')
    .option('-f, --force', 'also if mounted')
    .action((names: string[], flags: RmFlags, command: Command) =>
      perform(command.optsWithGlobals(), async (call) =>
        (await import('../commands/rm.ts')).rm(call, names, flags),
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
    .option('--uidmap <inside:outside:count>', usersMap, append)
    .option('--gidmap <inside:outside:count>', groupsMap, append)
    .option('--read-only', 'the process cannot write to its root filesystem')
    .action((word: string, rest: string[], flags: RunFlags, command: Command) => {
      const args = rest[0] === '--' ? rest.slice(1) : rest
      // The other meaning of the word is the program's, before the command's name.
      const { readOnly } = command.parent?.opts<GlobalFlags>() ?? {}
      return perform({ ...command.optsWithGlobals<GlobalFlags>(), readOnly }, async (call) =>
        (await import('../commands/run.ts')).run(call, word, args, flags),
      )
    })
}
