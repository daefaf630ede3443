import { expect, test } from 'vitest'
import { type HostFacts, refusalOf } from '../../src/hcs/host.ts'

const able: HostFacts = { hasLayers: true, hasApi: true, filesystem: 'NTFS', isPrivileged: true }

test('a Windows that has all is not refused', () => {
  expect(refusalOf('C:\\root', able)).toBeUndefined()
  expect(refusalOf('C:\\root', { ...able, filesystem: undefined })).toBeUndefined()
})

test.each([
  [{ ...able, hasLayers: false }, 'no-containers', /Enable-WindowsOptionalFeature .* Containers/],
  [{ ...able, hasApi: false }, 'no-api', /api/],
  [{ ...able, filesystem: 'ReFS' }, 'refs', /NTFS/],
  [{ ...able, isPrivileged: false }, 'not-privileged', /administrator/],
] as const)('%o is refused as %s, with the remedy', (facts, code, hint) => {
  expect(refusalOf('D:\\root', facts)).toMatchObject({
    supported: false,
    code,
    hint: expect.stringMatching(hint),
  })
})
