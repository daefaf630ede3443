/** Descriptors as text. Wine's own are compared with ours by the driver's tests. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type PaxRecord, TarWriter } from '@graphdriver/archive'
import { descriptorOf, readLayer } from '../src/index.ts'

const hex = (text: string): string | undefined => descriptorOf(text)?.toString('hex')

describe('a security descriptor as text', () => {
  it('is the bytes that Windows makes of it', () => {
    const head = (control: string, owner: string, group: string, sacl: string, dacl: string): string =>
      ['0100', control, owner, group, sacl, dacl].join('')
    const administrators = '01020000000000052000000020020000'
    const system = '010100000000000512000000'
    const acl = `0200 1c00 0100 0000 00 00 1400 ff011f00 ${system}`.replaceAll(' ', '')
    expect(hex('O:BAG:BAD:(A;;FA;;;SY)')).toBe(
      head('0480', '14000000', '24000000', '00000000', '34000000') + administrators + administrators + acl,
    )
    expect(hex('D:PAINO_ACCESS_CONTROL')).toBeUndefined()
    expect(hex('D:NO_ACCESS_CONTROL')).toBe(head('0480', '00000000', '00000000', '00000000', '00000000'))
    expect(hex('D:PARAI')).toBe(
      head('0495', '00000000', '00000000', '00000000', '14000000') + '0200080000000000',
    )
    expect(hex('')).toBe(head('0080', '00000000', '00000000', '00000000', '00000000'))
  })

  it.each([
    'O:',
    'O:DA',
    'O:BAO:BA',
    'X:BA',
    'D:(A;;FA;;SY)',
    'D:(A;;FA;;;SY',
    'D:(XA;;FX;;;WD;(@User.x==1))',
    'D:(A;QQ;FA;;;SY)',
    'D:(A;;ZZ;;;SY)',
    'D:(A;;0x1ffffffff;;;SY)',
    'O:S-1-5',
    'O:S-1-5-4294967296',
    'D:(A;;FA;0-0;;SY)',
    `D:${'(A;;FA;;;SY)'.repeat(4000)}`,
  ])('%s is not understood, and nothing is made up', (text) => {
    expect(descriptorOf(text)).toBeUndefined()
  })

  it('whatever it is, is refused or has offsets inside of itself', () => {
    const word = fc.constantFrom(
      'O:',
      'G:',
      'D:',
      'S:',
      'BA',
      'SY',
      'P',
      'AI',
      '(A;;FA;;;SY)',
      '(A;OICI;0x1;;;',
      ')',
      '(',
      ';',
      'S-1-5-18',
      'x',
    )
    fc.assert(
      fc.property(fc.array(word, { maxLength: 12 }), (words) => {
        const found = descriptorOf(words.join(''))
        if (found === undefined) return
        for (const offset of [4, 8, 12, 16])
          expect(found.readUInt32LE(offset)).toBeLessThan(Math.max(found.length, 1))
      }),
    )
  })

  it('in a layer is the descriptor of its file, or refused with the text and the file', () => {
    const tarWith = (text: string): Buffer => {
      const chunks: Buffer[] = []
      const tar = new TarWriter((chunk) => chunks.push(Buffer.from(chunk)))
      const pax: PaxRecord[] = [
        { key: 'MSWINDOWS.fileattr', value: Buffer.from('32') },
        { key: 'MSWINDOWS.sd', value: Buffer.from(text) },
      ]
      const [none, zero] = [
        Buffer.alloc(0),
        { uid: 0, gid: 0, mode: 0, size: 0, mtimeNs: 0n, devMajor: 0, devMinor: 0 },
      ]
      const name = Buffer.from('Files/old.txt')
      tar.entry({ ...zero, name, type: 'file', linkName: none, xattrs: [], records: pax })
      tar.finish()
      return Buffer.concat(chunks)
    }
    const [entry] = readLayer([tarWith('O:BAG:BAD:(A;;FA;;;SY)')])
    expect(entry?.file?.security?.toString('hex')).toBe(hex('O:BAG:BAD:(A;;FA;;;SY)'))
    expect(() => readLayer([tarWith('O:DAG:DA')])).toThrow(
      /old\.txt.*MSWINDOWS\.sd is 'O:DAG:DA'.*somebody of another machine/,
    )
  })
})
