/** Which Debian the base layer is made of: the machine's own release from the machine's own mirror. */
import { readFile } from 'node:fs/promises'
import { command } from '@graphdriver/core/conformance'

export interface Distribution {
  readonly suite: string
  /** Undefined for mmdebstrap's own choice. */
  readonly mirror: string | undefined
}

const fallback: Distribution = { suite: 'stable', mirror: undefined }

async function ownSuite(): Promise<string | undefined> {
  const release = await readFile('/etc/os-release', 'utf8').catch(() => '')
  return /^VERSION_CODENAME=(\w+)$/m.exec(release)?.[1]
}

export async function ownDistribution(): Promise<Distribution> {
  const suite = await ownSuite()
  if (suite === undefined) return fallback
  const format = ['--format', '$(RELEASE) $(REPO_URI)', 'Created-By: Packages']
  const targets = await command('apt-get', ['indextargets', ...format]).catch(() => '')
  const mirror = targets
    .split('\n')
    .map((line) => line.split(' '))
    .find(([release]) => release === suite)?.[1]
  return mirror === undefined ? fallback : { suite, mirror }
}
