/** Packages of other Debian suites, without touching what the machine's own apt knows. */
import { mkdir, mkdtemp, readdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { execa } from 'execa'
import { debianMirror } from '../image/distribution.ts'

const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg'

/** An apt whose whole state is in one directory. */
export class PrivateApt {
  readonly #directory: string
  readonly #options: readonly string[]

  private constructor(directory: string) {
    this.#directory = directory
    const at = (name: string): string => path.join(directory, name)
    this.#options = Object.entries({
      'Dir::Etc::sourcelist': at('sources.list'),
      'Dir::Etc::sourceparts': at('parts'),
      'Dir::Etc::preferences': at('preferences'),
      'Dir::Etc::preferencesparts': at('parts'),
      'Dir::State::lists': at('lists'),
      'Dir::State::status': at('status'),
      'Dir::Cache::archives': at('archives'),
      'Dir::Cache::pkgcache': '',
      'Dir::Cache::srcpkgcache': '',
      'APT::Sandbox::User': 'root',
      'Acquire::Languages': 'none',
      'Acquire::Retries': '4',
    }).flatMap(([name, value]) => ['-o', `${name}=${value}`])
  }

  /** Reads the lists of the suites (`main` and `contrib`) of Debian. Backports count as new. */
  static async open(directory: string, suites: readonly string[]): Promise<PrivateApt> {
    for (const name of ['lists/partial', 'archives/partial', 'parts'])
      await mkdir(path.join(directory, name), { recursive: true })
    const mirror = await debianMirror()
    const lines = suites.map((suite) => `deb [signed-by=${keyring}] ${mirror} ${suite} main contrib\n`)
    await writeFile(path.join(directory, 'sources.list'), lines.join(''))
    await writeFile(path.join(directory, 'status'), '')
    const pin = 'Package: *\nPin: release a=*-backports\nPin-Priority: 500\n'
    await writeFile(path.join(directory, 'preferences'), pin)
    const apt = new PrivateApt(directory)
    await apt.#run('apt-get', '-qq', 'update')
    return apt
  }

  /** The newest version, or undefined for a package that no suite has. */
  async version(name: string): Promise<string | undefined> {
    const found = /^ {2}Candidate: (\S+)$/m.exec(await this.#run('apt-cache', 'policy', name))?.[1]
    return found === '(none)' ? undefined : found
  }

  async namesLike(prefix: string): Promise<readonly string[]> {
    return (await this.#run('apt-cache', 'pkgnames', prefix)).split('\n').filter((name) => name !== '')
  }

  /** A package and all that it depends on, on a machine that has nothing yet. */
  async withDependencies(name: string): Promise<readonly string[]> {
    const flags = ['--no-install-recommends', '--print-uris', '-y', '-qq', 'install', name]
    return (await this.#run('apt-get', ...flags))
      .split('\n')
      .map((line) => / (\S+?)_\S+ /.exec(line)?.[1])
      .filter((found) => found !== undefined)
  }

  /** Unpacks packages, without running anything of theirs. */
  async unpack(names: readonly string[], target: string): Promise<void> {
    const debs = await mkdtemp(path.join(this.#directory, 'debs-'))
    await execa('apt-get', [...this.#options, '-qq', 'download', ...names], { cwd: debs })
    for (const file of await readdir(debs))
      await execa('dpkg-deb', ['--extract', path.join(debs, file), target])
  }

  async #run(program: string, ...args: readonly string[]): Promise<string> {
    return (await execa(program, [...this.#options, ...args], { env: { LC_ALL: 'C' } })).stdout
  }
}
