/**
 * Whose is it? Everything the lab makes is one directory in the system's temporary directory, and its name tells
 * the process that made it. Nothing has to be written down, and nothing that crashed can forget.
 *
 * A pid alone could be taken by another process meanwhile, so its start time stands beside it.
 */
import { readFileSync } from 'node:fs'

export interface Owner {
  readonly pid: number
  readonly startTime: string
}

const form = /^gd-lab-(\d+)-(\d+)-/

/** Field 22 of `/proc/<pid>/stat`, in clock ticks since boot (proc_pid_stat(5)); undefined for no such process. */
function startTimeOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // The command's name, field 2, may itself hold spaces and parentheses.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
  } catch {
    return undefined
  }
}

/** How the names of everything that this process makes begin. */
export function ownPrefix(): string {
  return `gd-lab-${process.pid}-${startTimeOf(process.pid) ?? '0'}-`
}

/** The process that a name tells, if it is a name of the lab's. */
export function ownerOf(name: string): Owner | undefined {
  const match = form.exec(name)
  const [, pid, startTime] = match ?? []
  return pid === undefined || startTime === undefined ? undefined : { pid: Number(pid), startTime }
}

export function isAlive(owner: Owner): boolean {
  const startTime = startTimeOf(owner.pid)
  return startTime !== undefined && startTime === owner.startTime
}
