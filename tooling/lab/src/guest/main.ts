/**
 * `node main.ts [--filesystem ext4] [--size MIB] [--mkfs OPTION]… [--mount OPTION]… [--disk MIB]… [--memory MIB]
 * [--seconds S] [--writable DIRECTORY]… -- COMMAND [ARGUMENT…]`: runs a command in a guest, as `runInGuest` does. Its
 * exit code is the command's; 125 when the guest died.
 */
import { parseArgs } from 'node:util'
import { isGuestFilesystem, runInGuest } from './guest.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    filesystem: { type: 'string', default: 'ext4' },
    size: { type: 'string', default: '4096' },
    mkfs: { type: 'string', multiple: true },
    mount: { type: 'string', multiple: true },
    disk: { type: 'string', multiple: true, default: [] },
    memory: { type: 'string' },
    seconds: { type: 'string' },
    writable: { type: 'string', multiple: true },
  },
})
const [program, ...args] = positionals
const { filesystem } = values
if (program === undefined) throw new Error('name the command that the guest is to run')
if (!isGuestFilesystem(filesystem)) throw new Error(`${filesystem} is no filesystem of the guests'`)
try {
  const { exitCode, stderr } = await runInGuest({
    command: [program, ...args],
    scratch: {
      filesystem,
      sizeMiB: Number(values.size),
      mkfsOptions: values.mkfs,
      mountOptions: values.mount,
    },
    disks: values.disk.map((size) => ({ sizeMiB: Number(size) })),
    memoryMiB: values.memory === undefined ? undefined : Number(values.memory),
    seconds: values.seconds === undefined ? undefined : Number(values.seconds),
    writable: values.writable,
    onOutput: (text) => process.stdout.write(text),
  })
  process.stderr.write(stderr)
  process.exitCode = exitCode
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 125
}
