/** Images: where they come from, where they go, what there is. */
import type { Command } from 'commander'
import type { CommitFlags } from '../commands/commit.ts'
import type { LoadFlags } from '../commands/load.ts'
import type { PullFlags } from '../commands/pull.ts'
import type { PushFlags } from '../commands/push.ts'
import type { RmiFlags } from '../commands/rmi.ts'
import type { SaveFlags } from '../commands/save.ts'
import { append, type Perform, sub } from './parts.ts'

export function addImageCommands(program: Command, perform: Perform): void {
  sub(program, 'load', 'load images: docker save archives, OCI layouts, tars of them')
    .argument('<file...>')
    .option(
      '--platform <os/architecture>',
      'of images that have several, or are for another system than this',
    )
    .action((files: string[], flags: LoadFlags, command: Command) =>
      perform(command.optsWithGlobals(), async (call) =>
        (await import('../commands/load.ts')).load(call, files, flags),
      ),
    )
  sub(program, 'pull', 'load images from a registry')
    .argument('<image...>')
    .option('--platform <os/architecture>', 'of images that have several')
    .option('--mirror <address>', 'ask there first, such as https://mirror.example; may be repeated', append)
    .option('--plain-http', 'without TLS')
    .action((names: string[], flags: PullFlags, command: Command) =>
      perform(command.optsWithGlobals(), async (call) =>
        (await import('../commands/pull.ts')).pull(call, names, flags),
      ),
    )
  sub(program, 'push', 'give an image to a registry, the one that its name says')
    .argument('<image>')
    .argument('[name]', 'another name for it there')
    .option('--plain-http', 'without TLS')
    .action((word: string, as: string | undefined, flags: PushFlags, command: Command) =>
      perform(command.optsWithGlobals(), async (call) =>
        (await import('../commands/push.ts')).push(call, word, as, flags),
      ),
    )
  sub(program, 'save', 'write images as one tar, which docker, podman and skopeo read')
    .argument('<image...>')
    .option('-o, --output <file>', 'instead of stdout')
    .action((words: string[], flags: SaveFlags, command: Command) =>
      perform(command.optsWithGlobals(), async (call) =>
        (await import('../commands/save.ts')).save(call, words, flags),
      ),
    )
  sub(program, 'tag', 'give an image further names')
    .argument('<image>')
    .argument('<name...>')
    .action((word: string, names: string[], _: object, command: Command) =>
      perform(command.optsWithGlobals(), async (call) =>
        (await import('../commands/tag.ts')).tag(call, word, names),
      ),
    )
  sub(program, 'commit', 'make an image of what was written to a writable layer')
    .argument('<name>')
    .argument('[image]', 'its name')
    .option('-a, --author <author>', 'who made it')
    .option('-m, --message <text>', 'what was changed')
    .action((name: string, image: string | undefined, flags: CommitFlags, command: Command) =>
      perform(command.optsWithGlobals(), async (call) =>
        (await import('../commands/commit.ts')).commit(call, name, image, flags),
      ),
    )
  sub(program, 'images', 'list images').action((_: object, command: Command) =>
    perform(command.optsWithGlobals(), async (call) => (await import('../commands/images.ts')).images(call)),
  )
  sub(program, 'layers', 'list all layers, or the stack of an image from the top down')
    .argument('[image]')
    .action((image: string | undefined, _: object, command: Command) =>
      perform(command.optsWithGlobals(), async (call) =>
        (await import('../commands/layers.ts')).layers(call, image),
      ),
    )
  sub(program, 'rmi', 'remove an image name; with its last name the image and the layers that only it needs')
    .argument('<image...>')
    .option('-f, --force', 'remove all its names')
    .action((words: string[], flags: RmiFlags, command: Command) =>
      perform(command.optsWithGlobals(), async (call) =>
        (await import('../commands/rmi.ts')).rmi(call, words, flags),
      ),
    )
}
