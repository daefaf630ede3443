/** What a case left behind on the host, found by asking the kernel and not the driver. */
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import path from 'node:path'
import { attachedBelow } from './host/loop-devices.ts'
import { shellPid } from './host/command.ts'
import { mountsBelow } from './host/mount-table.ts'

export interface Watch {
  /** One line for each thing that is there and was not there before, or that belongs to the case's directory. */
  leaks(): readonly string[]
}

/** Starts watching. `directory` is the case's own, so whatever is mounted or open in it is the case's too. */
export function watch(directory: string): Watch {
  const children = new Set(childProcesses())
  return {
    leaks: () => [
      ...mountsBelow(directory)
        .filter((target) => target !== directory)
        .map((target) => `${target} is still mounted`),
      ...openFilesBelow(directory).map((file) => `${file} is still open`),
      ...attachedBelow(directory).map(([device, file]) => `${device} is still attached to ${file}`),
      ...childProcesses()
        .filter((pid) => !children.has(pid))
        .map((pid) => `process ${pid} (${commandOf(pid)}) still runs`),
    ],
  }
}

function list(directory: string): readonly string[] {
  return existsSync(directory) ? readdirSync(directory) : []
}

/** Files of a directory that this process has open (proc_pid_fd(5)). */
export function openFilesBelow(directory: string): readonly string[] {
  return list('/proc/self/fd').flatMap((fd) => {
    const file = linkTarget(`/proc/self/fd/${fd}`)
    return file === directory || file.startsWith(directory + path.sep) ? [file] : []
  })
}

function linkTarget(link: string): string {
  try {
    return readlinkSync(link)
  } catch {
    return ''
  }
}

/** The children of every thread of this process, without those that only wait to be reaped. */
export function childProcesses(): readonly string[] {
  return list('/proc/self/task')
    .flatMap((thread) => read(`/proc/self/task/${thread}/children`).split(' '))
    .filter(
      (pid) => pid !== '' && Number(pid) !== shellPid() && !/^State:\tZ/m.test(read(`/proc/${pid}/status`)),
    )
}

function commandOf(pid: string): string {
  return read(`/proc/${pid}/comm`).trim()
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}
