import { GraphDriverError } from '@graphdriver/core'
import type { RuntimeUser } from './runtime-spec.ts'
import { type GroupEntry, parseId, type PasswdEntry, readGroup, readPasswd } from './user-database.ts'

export interface ProcessUser extends RuntimeUser {
  readonly home: string
}

/**
 * Who a process is, from `user`, `uid`, `user:group`, `uid:gid` and any mix, looked up in the root filesystem's own
 * accounts; root when `user` is empty. Numbers need no account. Groups that list a user are added, unless one is
 * asked for.
 *
 * @throws GD_PROCESS_INVALID for a name that is not there
 * @see https://github.com/moby/sys/blob/main/user/user.go (GetExecUser), which runc and Docker share
 */
export function processUser(rootfs: string, user: string): ProcessUser {
  const colon = user.indexOf(':')
  const userText = colon === -1 ? user : user.slice(0, colon)
  const groupText = colon === -1 ? '' : user.slice(colon + 1)
  const { entry, uid, gid, home } = account(readPasswd(rootfs), userText)
  const groups = readGroup(rootfs)
  if (groupText !== '') return { uid, gid: groupId(groups, groupText), home }
  const member = entry === undefined ? [] : groups.filter(({ members }) => members.includes(entry.name))
  const additionalGids = [...new Set(member.map((group) => group.gid))]
  return { uid, gid, home, ...(additionalGids.length === 0 ? {} : { additionalGids }) }
}

interface Account {
  readonly entry: PasswdEntry | undefined
  readonly uid: number
  readonly gid: number
  readonly home: string
}

/** What is a number is never looked up as a name. */
function account(accounts: readonly PasswdEntry[], text: string): Account {
  const number = text === '' ? 0 : parseId(text)
  const entry = accounts.find(({ name, uid }) => (number === undefined ? name === text : uid === number))
  if (entry !== undefined) return { entry, uid: entry.uid, gid: entry.gid, home: entry.home || '/' }
  if (number !== undefined) return { entry, uid: number, gid: 0, home: '/' }
  const message = `user '${text}' is not in the image's /etc/passwd; use one that is, or a number`
  throw new GraphDriverError('GD_PROCESS_INVALID', message, { field: 'user', value: text })
}

function groupId(groups: readonly GroupEntry[], text: string): number {
  const number = parseId(text)
  const gid = number ?? groups.find(({ name }) => name === text)?.gid
  if (gid !== undefined) return gid
  const message = `group '${text}' is not in the image's /etc/group; use one that is, or a number`
  throw new GraphDriverError('GD_PROCESS_INVALID', message, { field: 'group', value: text })
}
