/** What this host can do, and what keeps a store in order. */
import { Argument, type Command } from 'commander'
import type { CheckFlags } from '../commands/check.ts'
import type { DoctorFlags } from '../commands/doctor.ts'
import type { GcFlags } from '../commands/gc.ts'
import type { MigrateFlags } from '../commands/migrate.ts'
import type { RepairFlags } from '../commands/repair.ts'
import { byteCount, type Perform, sub } from './parts.ts'

export function addHostCommands(program: Command, perform: Perform): void {
  sub(program, 'info', 'show the data root, its driver and why that one, what is in it').action(
    (_: object, command: Command) =>
      perform(command.optsWithGlobals(), async (call) => (await import('../commands/info.ts')).info(call)),
  )
  sub(program, 'drivers', 'list the storage drivers: which can serve here, and why the others cannot').action(
    (_: object, command: Command) =>
      perform(command.optsWithGlobals(), async (call) =>
        (await import('../commands/drivers.ts')).drivers(call),
      ),
  )
  sub(
    program,
    'doctor',
    'tell what this host can do, why not what it cannot, and what would help; exits with 1 if no driver can serve',
  )
    .option('--measure', 'measure each driver that can serve for some seconds, and recommend one')
    .action((flags: DoctorFlags, command: Command) =>
      perform(command.optsWithGlobals(), async (call) =>
        (await import('../commands/doctor.ts')).doctor(call, flags),
      ),
    )
}

export function addCompletion(program: Command, perform: Perform): void {
  sub(
    program,
    'completion',
    'print what makes a shell complete commands, options and names: source <(graphdriver completion bash)',
  )
    .addArgument(new Argument('<shell>').choices(shells))
    .action((shell: string, _: object, command: Command) =>
      perform(command.optsWithGlobals(), async () => (await import('../completion.ts')).printScript(shell)),
    )
}

const shells = ['bash', 'zsh', 'fish', 'powershell']

export function addCare(program: Command, perform: Perform): void {
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
        (await import('../commands/migrate.ts')).migrate(call, flags),
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
        (await import('../commands/check.ts')).check(call, words, flags),
      ),
    )
  sub(program, 'scrub', 'check --full at a slow pace, for a root that is in use')
    .argument('[image|layer...]')
    .option('--rate <bytes>', 'to read in a second, at the most; by default 32M', byteCount)
    .action((words: string[], flags: CheckFlags, command: Command) =>
      perform(command.optsWithGlobals(), async (call) =>
        (await import('../commands/check.ts')).check(call, words, {
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
        (await import('../commands/repair.ts')).repair(call, flags),
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
      perform(command.optsWithGlobals(), async (call) => (await import('../commands/gc.ts')).gc(call, flags)),
    )
}

/** Bytes a second that leave a disk to those who work with it. */
const scrubRate = 32 * 1024 * 1024
