import { expect, it } from 'vitest'
import {
  chainIdOf,
  digestOf,
  emptyDiffId,
  isGraphDriverError,
  parseDiffId,
  parseLayerId,
  randomLayerId,
} from '../src/index.ts'

it('computes ChainIDs as the OCI image specification does', () => {
  // The three layers of a worked example: etc/motd, its whiteout, and the empty tar.
  const stack = [
    'sha256:ddc9d329ca804460c62dfaf5c6edec33030710b8524b80a1ca387887a7a4e24a',
    'sha256:de654e8863bcbcffd080794545556d0ea306b812eb94d3d897111c96dd28fd8c',
    emptyDiffId,
  ].map(parseDiffId)
  expect(chainIdOf([])).toBeUndefined()
  expect(chainIdOf(stack.slice(0, 1))).toBe(stack[0])
  expect(chainIdOf(stack.slice(0, 2))).toBe(
    'sha256:14043decb07aa73be603d016509243df68b6d2c39228d9ceef67400ecb504bba',
  )
  expect(chainIdOf(stack)).toBe('sha256:7b8f750cb6274b33d022df28046857fbd3fcac894597aa18190eb0440e1f1f2d')
})

it('knows the digest of the empty layer', () => {
  expect(digestOf(Buffer.alloc(1024))).toBe(emptyDiffId)
})

it.each(['', '.', '..', '../x', 'a/b', '-a', 'a\0', 'a b', 'x'.repeat(256)])(
  'refuses the layer id %j',
  (id) => {
    expect(() => parseLayerId(id)).toThrow(expect.objectContaining({ code: 'GD_INVALID_ID' }))
  },
)

it.each(['Base', '1', 'a'.repeat(64), `${'a'.repeat(64)}-init`])('takes the layer id %j', (id) => {
  expect(parseLayerId(id)).toBe(id)
})

it.each(['', 'sha256:', `sha256:${'A'.repeat(64)}`, `sha512:${'a'.repeat(64)}`, 'a'.repeat(64)])(
  'refuses the digest %j',
  (digest) => {
    let error: unknown
    try {
      parseDiffId(digest)
    } catch (caught) {
      error = caught
    }
    expect(isGraphDriverError(error, 'GD_INVALID_ID')).toBe(true)
  },
)

it('draws layer ids that are never twelve decimal digits at the start', () => {
  for (let i = 0; i < 5_000; i++) expect(randomLayerId()).toMatch(/^(?!\d{12})[0-9a-f]{64}$/)
})
