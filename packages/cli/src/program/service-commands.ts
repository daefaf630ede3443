/** Servers for engines, and what examines drivers. */
import { type Command, Option } from 'commander'
import type { BenchFlags } from '../commands/bench.ts'
import type { ConformanceFlags } from '../commands/conformance.ts'
import type { ContainerdSnapshotterFlags } from '../commands/containerd-snapshotter.ts'
import type { DockerPluginFlags } from '../commands/docker-plugin.ts'
import { append, type Perform, positiveInteger, sub } from './parts.ts'

export function addServices(program: Command, perform: Perform): void {
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
        (await import('../commands/containerd-snapshotter.ts')).containerdSnapshotter(call, flags),
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
        (await import('../commands/docker-plugin.ts')).dockerPlugin(call, flags),
      ),
    )
}

export function addExaminations(program: Command, perform: Perform): void {
  sub(program, 'conformance', 'run the conformance suite on a storage driver, in fresh directories')
    .argument('[driver]', 'a name, a package, or the path of a module')
    .option('--case <pattern>', "only this one: an id, 'tree', 'tree/*'; may be repeated", append)
    .option('--directory <directory>', "where to work, instead of the system's temporary directory")
    .option('--list', 'list the cases and run none')
    .option('--report <file>', 'add the results to a conformance.json')
    .option('--against <driver>', 'do the same random deeds in another driver, and compare')
    .action((driver: string | undefined, flags: ConformanceFlags, command: Command) =>
      perform(command.optsWithGlobals(), async (call) =>
        (await import('../commands/conformance.ts')).conformance(call, driver, flags),
      ),
    )
  sub(program, 'bench', 'measure a storage driver, or compare all that can serve, in fresh directories')
    .argument('[driver]', 'a name, a package, or the path of a module')
    .option('--case <pattern>', "only this one: an id, 'diff-*'; may be repeated", append)
    .option('--directory <directory>', "where to work, instead of the system's temporary directory")
    .option('--list', 'list the cases and run none')
    .option('--rounds <number>', "instead of each case's own", positiveInteger)
    .addOption(new Option('--scale <scale>', 'how much to do').choices(['quick', 'standard', 'full']))
    .option('--layer <tar>', 'the tar of a layer, plain or gzip, to apply')
    .option('--containers <number>', 'of one image, to compare drivers by; by default 1000', positiveInteger)
    .option('--chart <file>', 'draw the comparison, as .svg or .html')
    .option('--from <file>', 'what --json printed before, instead of measuring; may be repeated', append)
    .action((driver: string | undefined, flags: BenchFlags, command: Command) =>
      perform(command.optsWithGlobals(), async (call) =>
        (await import('../commands/bench.ts')).bench(call, driver, flags),
      ),
    )
}
