/** What LVM 2.03.16 and blkid 2.38 say, recorded. */
import { expect, test } from 'vitest'
import { isNoVolume, parseContent, parseGroups, profileText } from '../src/lvm.ts'

test.each([
  ['  docker\n', 'a part of the volume group docker'],
  ['          \n', 'a physical volume of LVM'],
])('pvs says %j', (stdout, said) => {
  expect(parseGroups(stdout)).toBe(said)
})

test.each([
  ['  Failed to find physical volume "/dev/ubdb".\n', true],
  ['  Cannot use /dev/ubdc: device not found\n', true],
  ['  WARNING: Running as a non-root user.\n', false],
])('pvs fails with %j', (stderr, none) => {
  expect(isNoVolume(stderr)).toBe(none)
})

test.each([
  ['DEVNAME=/dev/ubdb\nUUID=0e9d\nBLOCK_SIZE=4096\nTYPE=ext4\nUSAGE=filesystem\n', 'something (ext4)'],
  [
    'DEVNAME=/dev/ubdb\nUUID=fLMQfm\nVERSION=LVM2\\ 001\nTYPE=LVM2_member\nUSAGE=raid\n',
    'something (LVM2_member)',
  ],
  ['PTUUID=1c\nPTTYPE=gpt\n', 'a partition table (gpt)'],
  ['DEVNAME=/dev/ubdb\n', undefined],
])('blkid says %j', (stdout, said) => {
  expect(parseContent(stdout)).toBe(said)
})

test('the profile says when LVM is to extend the pool', () => {
  const options = {
    device: '/dev/b',
    force: false,
    thinpPercent: 0,
    thinpMetaPercent: 0,
    autoExtendPercent: 0,
    autoExtendThreshold: 0,
  }
  const usual = 'activation {\n  thin_pool_autoextend_threshold=80\n  thin_pool_autoextend_percent=20\n}\n'
  expect(profileText(options)).toBe(usual)
  expect(profileText({ ...options, autoExtendPercent: 30, autoExtendThreshold: 70 })).toBe(
    usual.replace('80', '70').replace('20', '30'),
  )
})
