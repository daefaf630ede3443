import { expect, it } from 'vitest'
import { parseMountInfo, readMountTable } from '../src/index.ts'

/** Recorded on Debian 12 with Linux 6.18, and (the last two) taken from proc_pid_mountinfo(5) and overlayfs. */
const recorded = String.raw`27 0 254:0 / / rw,relatime - ext4 /dev/vda rw,discard
31 27 0:5 / /dev rw,nosuid shared:2 - devtmpfs devtmpfs rw,size=4079184k,nr_inodes=1019796,mode=755
90 27 0:43 / /tmp/a\040b\134c\011d rw,relatime - tmpfs sp\040ace rw
91 27 0:44 / /tmp/\043x\012y ro shared:3 master:1 propagate_from:2 unbindable - fuse.sshfs host:/dir rw,user_id=0
36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
92 27 0:45 / /merged rw - overlay overlay rw,lowerdir=/a\054b:/c\134:d,upperdir=/u,workdir=/w,metacopy=on
`

it('the fields of each line are where proc_pid_mountinfo(5) says', () => {
  const [root, dev, , , ext3] = parseMountInfo(recorded)
  expect(root).toEqual({
    id: 27,
    parentId: 0,
    major: 254,
    minor: 0,
    root: '/',
    target: '/',
    options: ['rw', 'relatime'],
    propagation: [],
    type: 'ext4',
    source: '/dev/vda',
    superOptions: ['rw', 'discard'],
  })
  expect(dev?.propagation).toEqual(['shared:2'])
  expect(ext3).toMatchObject({
    root: '/mnt1',
    target: '/mnt2',
    propagation: ['master:1'],
    source: '/dev/root',
  })
})

it('escapes are decoded, and only once', () => {
  const [, , escaped, propagated, , overlay] = parseMountInfo(recorded)
  expect(escaped).toMatchObject({ target: '/tmp/a b\\c\td', source: 'sp ace' })
  expect(propagated).toMatchObject({
    target: '/tmp/#x\ny',
    type: 'fuse.sshfs',
    propagation: ['shared:3', 'master:1', 'propagate_from:2', 'unbindable'],
  })
  expect(overlay?.superOptions).toEqual([
    'rw',
    'lowerdir=/a,b:/c\\:d',
    'upperdir=/u',
    'workdir=/w',
    'metacopy=on',
  ])
})

it('lines that are no entries are left out', () => {
  expect(parseMountInfo('')).toEqual([])
  expect(parseMountInfo('\n1 2 3\nhello world\n')).toEqual([])
})

it.skipIf(process.platform !== 'linux')('this process has a root filesystem (needs Linux)', () => {
  expect(readMountTable().some(({ target }) => target === '/')).toBe(true)
  expect(readMountTable(process.pid).some(({ target }) => target === '/')).toBe(true)
})
