/**
 * Security descriptors as text, which layers had before 2016 (`MSWINDOWS.sd`), into the bytes that all have since. Of the language all is
 * understood that says something of files: conditions and claims are not, nor names that mean somebody of a domain or a machine that
 * is not known here.
 *
 * @see [MS-DTYP] 2.5.1 for the text, 2.4.2 (SID), 2.4.4 (ACE), 2.4.5 (ACL) and 2.4.6 (SECURITY_DESCRIPTOR) for the bytes
 */

import { aceFlags, aceTypes, aclFlags, control, everywhere, labelRights, rights } from './sddl-words.ts'

class NotUnderstood extends Error {}

/**
 * A security descriptor of text: `O:BAG:SYD:(A;;FA;;;SY)`.
 *
 * @returns it in bytes, self-relative; undefined for what is malformed, or not understood here
 */
export function descriptorOf(text: string): Buffer | undefined {
  try {
    return parse(text)
  } catch (error) {
    if (error instanceof NotUnderstood) return undefined
    throw error
  }
}

/** One part of each kind at the most, in any order; a list of entries may follow flags. */
const whole =
  /^(?:O:(?<owner>(?:(?!G:|D:|S:).)+)|G:(?<group>(?:(?!O:|D:|S:).)+)|D:(?<dacl>[A-Z_]*(?:\([^()]*\))*)|S:(?<sacl>[A-Z_]*(?:\([^()]*\))*))/

function parse(text: string): Buffer {
  const parts = new Map<string, string>()
  for (let rest = text; rest !== '';) {
    const match = whole.exec(rest)
    if (match === null) throw new NotUnderstood()
    const [name, value = ''] =
      Object.entries(match.groups ?? {}).find(([, found]) => found !== undefined) ?? []
    if (name === undefined || parts.has(name)) throw new NotUnderstood()
    parts.set(name, value)
    rest = rest.slice(match[0].length)
  }
  const [owner, group] = [parts.get('owner'), parts.get('group')]
  return assembled({
    owner: owner === undefined ? undefined : sidOf(owner),
    group: group === undefined ? undefined : sidOf(group),
    dacl: aclOf('D', parts.get('dacl')),
    sacl: aclOf('S', parts.get('sacl')),
  })
}

interface Acl {
  readonly control: number
  /** Absent of one that is there and grants everything (`NO_ACCESS_CONTROL`). */
  readonly bytes: Buffer | undefined
}

interface Parts {
  readonly owner: Buffer | undefined
  readonly group: Buffer | undefined
  readonly dacl: Acl | undefined
  readonly sacl: Acl | undefined
}

const headBytes = 20

function assembled({ owner, group, dacl, sacl }: Parts): Buffer {
  const head = Buffer.alloc(headBytes)
  head.writeUInt8(1, 0)
  head.writeUInt16LE(control.selfRelative | (dacl?.control ?? 0) | (sacl?.control ?? 0), 2)
  const pieces: Buffer[] = [head]
  let at = headBytes
  // In the order in which Wine lays them out.
  for (const [offset, piece] of [
    [4, owner],
    [8, group],
    [16, dacl?.bytes],
    [12, sacl?.bytes],
  ] as const) {
    if (piece === undefined) continue
    head.writeUInt32LE(at, offset)
    pieces.push(piece)
    at += piece.length
  }
  return Buffer.concat(pieces)
}

function aclOf(kind: 'D' | 'S', text: string | undefined): Acl | undefined {
  if (text === undefined) return undefined
  const start = text.indexOf('(')
  const flags = start === -1 ? text : text.slice(0, start)
  const present = kind === 'D' ? control.daclPresent : control.saclPresent
  if (flags === 'NO_ACCESS_CONTROL') return { control: present, bytes: undefined }
  const entries = [...text.matchAll(/\(([^()]*)\)/g)].map(([, entry = '']) => aceOf(entry))
  // Entries for single properties are of a later revision.
  const revision = entries.some(({ isForObject }) => isForObject) ? 4 : 2
  const body = Buffer.concat(entries.map(({ bytes }) => bytes))
  const head = Buffer.alloc(8)
  head.writeUInt8(revision, 0)
  head.writeUInt16LE(fitting(head.length + body.length), 2)
  head.writeUInt16LE(entries.length, 4)
  return { control: present | bitsOf(flags, aclFlags[kind], /AR|AI|P/y), bytes: Buffer.concat([head, body]) }
}

function aceOf(text: string): { readonly bytes: Buffer; readonly isForObject: boolean } {
  const fields = text.split(';').map((field) => field.trim())
  const [type = '', flags = '', access = '', object = '', inherited = '', who = ''] = fields
  const number = aceTypes[type]
  if (fields.length !== 6 || number === undefined) throw new NotUnderstood()
  const isForObject = number >= 5 && number <= 8
  if (!isForObject && (object !== '' || inherited !== '')) throw new NotUnderstood()
  const mask = Buffer.alloc(4)
  mask.writeUInt32LE(accessOf(access, type === 'ML' ? labelRights : rights))
  const body = Buffer.concat([mask, isForObject ? objects(object, inherited) : Buffer.alloc(0), sidOf(who)])
  const head = Buffer.alloc(4)
  head.writeUInt8(number, 0)
  head.writeUInt8(bitsOf(flags, aceFlags, /[A-Z]{2}/y), 1)
  head.writeUInt16LE(fitting(head.length + body.length), 2)
  return { bytes: Buffer.concat([head, body]), isForObject }
}

function objects(object: string, inherited: string): Buffer {
  const present = Buffer.alloc(4)
  present.writeUInt32LE((object === '' ? 0 : 1) | (inherited === '' ? 0 : 2))
  return Buffer.concat([present, guidOf(object), guidOf(inherited)])
}

const guidForm = /^([0-9a-f]{8})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{12})$/i

/** The first three groups are numbers, least byte first. */
function guidOf(text: string): Buffer {
  if (text === '') return Buffer.alloc(0)
  const groups = guidForm
    .exec(text)
    ?.slice(1)
    .map((group) => Buffer.from(group, 'hex'))
  if (groups === undefined) throw new NotUnderstood()
  return Buffer.concat(groups.map((group, index) => (index < 3 ? group.reverse() : group)))
}

function accessOf(text: string, letters: Readonly<Record<string, number>>): number {
  if (/^0x[0-9a-f]{1,8}$/i.test(text)) return Number(text)
  if (/^\d{1,10}$/.test(text) && Number(text) <= 0xffff_ffff) return Number(text)
  return bitsOf(text, letters, /[A-Z]{2}/y)
}

/** @param form of one word, sticky */
function bitsOf(text: string, bits: Readonly<Record<string, number>>, form: RegExp): number {
  let found = 0
  for (form.lastIndex = 0; form.lastIndex < text.length;) {
    const bit = bits[form.exec(text)?.[0] ?? '']
    if (bit === undefined) throw new NotUnderstood()
    found |= bit
  }
  return found >>> 0
}

function sidOf(text: string): Buffer {
  const written = everywhere[text] ?? text
  const match = /^S-1-(\d{1,10}|0x[0-9a-f]{1,12})((?:-\d{1,10}){0,15})$/i.exec(written)
  if (match === null) throw new NotUnderstood()
  const [, authority = '', rest = ''] = match
  const parts = rest.split('-').slice(1).map(Number)
  if (parts.length === 0 || parts.some((part) => part > 0xffff_ffff)) throw new NotUnderstood()
  const bytes = Buffer.alloc(8 + 4 * parts.length)
  bytes.writeUInt8(1, 0)
  bytes.writeUInt8(parts.length, 1)
  bytes.writeUIntBE(Number(authority), 2, 6)
  for (const [index, part] of parts.entries()) bytes.writeUInt32LE(part, 8 + 4 * index)
  return bytes
}

/** Sizes have sixteen bits. */
function fitting(bytes: number): number {
  if (bytes > 0xffff) throw new NotUnderstood()
  return bytes
}
