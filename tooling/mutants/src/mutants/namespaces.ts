import {
  chmodSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import type { Driver, LayerId } from '@graphdriver/core'
import { MS, mount, SystemError, umount } from '@graphdriver/sys'
import { damagesApplied, damagesChildren, editsDiffs, type Mutant } from '../mutant.ts'
import type { ReferenceDriver } from '../reference.ts'

/** Mounts layers with one flag too many. */
function mountsWith(flag: number): (intact: ReferenceDriver) => Partial<Driver> {
  return (intact) => ({
    async get(id, options) {
      const mounted = await intact.get(id, options)
      mount({ source: 'none', target: mounted.path, flags: MS.REMOUNT | MS.BIND | flag })
      return mounted
    },
  })
}

/** What old kernels said of a mount point that another mount namespace has something mounted on. */
function busy(target: string): SystemError | undefined {
  const held = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .some((pid) => mountsOf(pid).includes(` ${target} `))
  return held ? new SystemError(16, { syscall: 'rmdir', path: target }) : undefined
}

function mountsOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/mountinfo`, 'utf8')
  } catch {
    return ''
  }
}

/** Does something to everything in a tree. */
function each(tree: string, action: (file: string) => void): void {
  for (const name of readdirSync(tree, { recursive: true, encoding: 'utf8' })) action(path.join(tree, name))
}

export const namespacesMutants: readonly Mutant[] = [
  {
    does: 'has sixteen bits for an owner, as the oldest kernels',
    caughtBy: ['namespaces/any-owner'],
    breaks: damagesChildren((tree) =>
      each(tree, (file) => {
        const { uid, gid } = lstatSync(file)
        lchownSync(file, uid & 0xffff, gid & 0xffff)
      }),
    ),
  },
  {
    does: 'writes owners of eighteen bits at most into its diffs',
    caughtBy: ['namespaces/any-owner', 'namespaces/owner-changed'],
    breaks: editsDiffs((header) => ({
      ...header,
      pax: {},
      uid: (header.uid ?? 0) & 0o777777,
      gid: (header.gid ?? 0) & 0o777777,
    })),
  },
  {
    does: 'says that owners are mapped, and gives files to whomever a tar says',
    caughtBy: ['namespaces/unmapped-owner'],
    breaks: (intact) => ({ capabilities: { ...intact.capabilities, ownership: 'mapped' } }),
  },
  {
    does: 'mounts layers without devices',
    caughtBy: ['namespaces/device-works'],
    breaks: mountsWith(MS.NODEV),
  },
  {
    does: 'mounts layers without programs',
    caughtBy: ['namespaces/ordinary-user-runs'],
    breaks: mountsWith(MS.NOEXEC),
  },
  {
    does: 'mounts layers without set-user-ID',
    caughtBy: ['namespaces/set-user-id-works'],
    breaks: mountsWith(MS.NOSUID),
  },
  {
    does: 'says that it makes no devices, and makes empty files of them',
    caughtBy: ['namespaces/device-impossible'],
    breaks: (intact) => ({
      capabilities: { ...intact.capabilities, deviceNodes: false },
      async applyDiff(id, parent, tar, options) {
        const size = await intact.applyDiff(id, parent, tar, options)
        each(intact.treeOf(id), (file) => {
          if (!lstatSync(file).isCharacterDevice()) return
          rmSync(file)
          writeFileSync(file, '')
        })
        return size
      },
    }),
  },
  {
    does: 'leaves devices out of diffs',
    caughtBy: ['namespaces/device-kept'],
    breaks: editsDiffs((header) => (header.type?.endsWith('-device') === true ? undefined : header)),
  },
  {
    does: 'hands labels to a kernel that knows none',
    caughtBy: ['namespaces/label-without-effect'],
    breaks: (intact) => ({
      async get(id, options) {
        if (options?.mountLabel !== undefined)
          throw new SystemError(22, { syscall: 'mount', path: intact.mountPointOf(id) })
        return intact.get(id, options)
      },
    }),
  },
  {
    does: 'cannot unmount what is mounted in another namespace too',
    caughtBy: ['namespaces/held-elsewhere-put'],
    breaks: (intact) => ({
      async get(id, options) {
        const mounted = await intact.get(id, options)
        return {
          ...mounted,
          async [Symbol.asyncDispose]() {
            const refusal = busy(mounted.path)
            await mounted[Symbol.asyncDispose]()
            if (refusal !== undefined) throw refusal
          },
        }
      },
    }),
  },
  {
    does: 'cannot remove a layer that is mounted in another namespace',
    caughtBy: ['namespaces/held-elsewhere-remove'],
    breaks: (intact) => ({
      async remove(id, options) {
        const refusal = busy(intact.mountPointOf(id))
        await intact.remove(id, options)
        if (refusal !== undefined) throw refusal
      },
    }),
  },
  {
    does: 'keeps the mount point for the copies of its mount in other namespaces',
    caughtBy: ['namespaces/held-elsewhere-remove'],
    breaks: (intact) => ({
      async remove(id, options) {
        await intact.remove(id, options)
        mkdirSync(intact.mountPointOf(id))
      },
    }),
  },
  {
    does: 'shows what another namespace holds under an id that was used before',
    caughtBy: ['namespaces/held-elsewhere-reuse'],
    breaks: (intact) => {
      const removed = new Set<LayerId>()
      return {
        async remove(id, options) {
          await intact.remove(id, options)
          removed.add(id)
        },
        async create(id, options) {
          await intact.create(id, options)
          if (removed.has(id)) writeFileSync(path.join(intact.treeOf(id), 'old'), 'old')
        },
      }
    },
  },
  {
    does: 'unmounts all of its layers when it removes one',
    caughtBy: ['namespaces/holder-elsewhere-keeps-parent'],
    breaks: (intact) => ({
      async remove(id, options) {
        await intact.remove(id, options)
        const mounted = path.join(intact.home, 'mounted')
        for (const name of readdirSync(mounted)) umount(path.join(mounted, name))
      },
    }),
  },
  {
    does: 'opens its home to everybody',
    caughtBy: ['namespaces/home-closed', 'namespaces/unreachable'],
    breaks: (intact) => {
      chmodSync(intact.home, 0o755)
      return {}
    },
  },
  {
    does: 'lets everybody through its home, who cannot list it',
    caughtBy: ['namespaces/unreachable'],
    breaks: (intact) => {
      chmodSync(intact.home, 0o711)
      return {}
    },
  },
  {
    does: 'lets the umask narrow the directories that a tar does not list',
    caughtBy: ['namespaces/umask-of-apply'],
    breaks: damagesApplied((tree) =>
      each(tree, (file) => {
        if (file.endsWith('implied')) chmodSync(file, 0o755 & ~process.umask())
      }),
    ),
  },
]
