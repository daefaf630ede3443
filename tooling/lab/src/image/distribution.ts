/** Which Debian the base layer is made of: the machine's own release from the machine's own mirror. */
import { readFile } from 'node:fs/promises'
import { command } from '@graphdriver/core/conformance'

export interface Distribution {
  readonly suite: string
  /** Undefined for mmdebstrap's own choice. */
  readonly mirror: string | undefined
}

const fallback: Distribution = { suite: 'stable', mirror: undefined }

async function ownRelease(key: 'ID' | 'VERSION_CODENAME'): Promise<string | undefined> {
  const release = await readFile('/etc/os-release', 'utf8').catch(() => '')
  return new RegExp(`^${key}="?(\\w+)"?$`, 'm').exec(release)?.[1]
}

export async function ownDistribution(): Promise<Distribution> {
  const suite = await ownRelease('VERSION_CODENAME')
  if (suite === undefined) return fallback
  const format = ['--format', '$(RELEASE) $(REPO_URI)', 'Created-By: Packages']
  const targets = await command('apt-get', ['indextargets', ...format]).catch(() => '')
  const mirror = targets
    .split('\n')
    .map((line) => line.split(' '))
    .find(([release]) => release === suite)?.[1]
  return mirror === undefined ? fallback : { suite, mirror }
}

/** A mirror that has Debian: the machine's own, unless it is of another distribution. */
export async function debianMirror(): Promise<string> {
  const { mirror } = (await ownRelease('ID')) === 'debian' ? await ownDistribution() : fallback
  return mirror ?? 'http://deb.debian.org/debian'
}
