import { chown, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import type { RuntimeMount } from '@graphdriver/image'

/**
 * Writes what a container is to find over the empty files of the init layer: the host's name servers and hosts, since
 * it has the host's network, and its own name. They are copies, so that it may write to them.
 */
export async function writeContainerFiles(
  directory: string,
  hostname: string,
  owner?: { readonly uid: number; readonly gid: number },
): Promise<readonly RuntimeMount[]> {
  const files = {
    '/etc/resolv.conf': await hostFile('/etc/resolv.conf'),
    '/etc/hosts': `${await hostFile('/etc/hosts')}127.0.1.1\t${hostname}\n`,
    '/etc/hostname': `${hostname}\n`,
  }
  return Promise.all(
    Object.entries(files).map(async ([destination, text]): Promise<RuntimeMount> => {
      const source = path.join(directory, path.basename(destination))
      await writeFile(source, text, { mode: 0o644 })
      if (owner !== undefined) await chown(source, owner.uid, owner.gid)
      return { destination, type: 'bind', source, options: ['rbind', 'rprivate'] }
    }),
  )
}

async function hostFile(file: string): Promise<string> {
  try {
    const text = await readFile(file, 'utf8')
    return text === '' || text.endsWith('\n') ? text : `${text}\n`
  } catch {
    return ''
  }
}
