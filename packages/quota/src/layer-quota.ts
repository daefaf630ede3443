import {
  type Capabilities,
  checkQuota,
  type DriverOptions,
  GraphDriverError,
  type LayerId,
  parseQuota,
  rejectUnknownOptions,
  type Quota,
  type Usage,
} from '@graphdriver/core'
import { findCommand, hasCapability, inUserNamespace } from '@graphdriver/sys'
import type { QuotaOptions } from './options.ts'
import { examineProjects, type NoProjects, Projects } from './project.ts'
import { Volume, volumeProgram } from './volume.ts'

export interface LayerQuotaOptions extends Omit<QuotaOptions, 'means'> {
  /** `filesystem-only` where a layer cannot be in another filesystem than the driver's. */
  readonly means: QuotaOptions['means'] | 'filesystem-only'
  /** As messages call it. */
  readonly driver: string
  /** Limits have to hold for a root that writes to the layer's directory without overlayfs between. */
  readonly privileged: boolean
  /** The volume of a layer, whose own directory this is. */
  readonly volumeOf: (directory: string) => Volume
  /** What counts of a layer without a volume, by its directory; what the driver keeps beside it does not. */
  readonly countedOf: (directory: string) => string
  /** Nothing may be written, or mounted, at the home. */
  readonly readOnly?: boolean | undefined
}

/** Where a layer with limits has what counts. */
export interface Room extends AsyncDisposable {
  /** An empty directory; of a volume, which is mounted until this is disposed. */
  readonly place: string
  /** Has an empty directory, which was made there, count; what is to share files must all be said so. */
  enter(directory: string): void
}

/** The limits of one driver's layers, by whatever means its home has. */
export class LayerQuota {
  readonly degree: Extract<Capabilities['quota'], 'none' | 'project' | 'loop'>
  readonly #options: LayerQuotaOptions
  readonly #projects: Projects | undefined
  readonly #refusal: NoProjects | undefined

  /** @param home exists */
  constructor(home: string, options: LayerQuotaOptions) {
    this.#options = options
    this.#refusal = examineProjects(home, options.privileged)
    if (this.#refusal === undefined) {
      this.degree = 'project'
      this.#projects = new Projects(home)
    } else this.degree = options.means === 'loop' && volumesWork() ? 'loop' : 'none'
  }

  /**
   * The limits that a layer is to have, those of the driver's options included; undefined for none.
   *
   * @param kind only what is made for containers is limited
   * @throws GD_INVALID_OPTION naming the option
   */
  wanted(id: LayerId, options: DriverOptions | undefined, kind: 'image' | 'container'): Quota | undefined {
    const subject = `${this.#options.driver}: layer ${id}`
    rejectUnknownOptions(subject, options ?? {}, ['size', 'inodes'])
    const own = parseQuota(subject, options ?? {})
    if (kind === 'image') {
      const [option] = givenIn(own)
      if (option !== undefined) throw this.#invalid(id, option, 'only layers for containers have limits')
      return undefined
    }
    const quota = { ...this.#options.byDefault, ...own }
    const [option] = givenIn(quota)
    if (option === undefined) return undefined
    if (this.degree === 'none') throw this.#refused(id, option)
    return quota
  }

  /** Makes of an empty directory that of a layer with limits. */
  async start(id: LayerId, directory: string, quota: Quota): Promise<Room> {
    const projects = this.#projects
    if (projects !== undefined) {
      let project: number | undefined
      const enter = (counted: string): void => {
        if (project === undefined) project = projects.start(counted, quota)
        else projects.join(counted, project)
      }
      return { place: directory, enter, [Symbol.asyncDispose]: () => Promise.resolve() }
    }
    const volume = this.#options.volumeOf(directory)
    await volume.make(id, quota)
    const opened = await volume.open()
    // Everything in a volume counts.
    const enter = (): void => undefined
    return { place: volume.target, enter, [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose]() }
  }

  /** Makes a layer's volume visible as long as it is held; nothing where there is none. */
  async open(directory: string): Promise<AsyncDisposable | undefined> {
    const volume = this.#options.volumeOf(directory)
    return volume.exists() ? await this.#show(volume) : undefined
  }

  /**
   * Mounts a layer's stack. Overlayfs makes a directory of its own for that, in the layer; without room for it, a full
   * layer would be mounted read-only, and could not be emptied.
   */
  async mounting<T>(directory: string, mount: () => Promise<T>): Promise<T> {
    const restore = this.#projects?.relax(this.#options.countedOf(directory))
    try {
      return await mount()
    } finally {
      restore?.()
    }
  }

  /** The same for a layer with a volume: before it is mounted, and while nobody uses its work directory. */
  makeRoom(directory: string, work: string): void {
    const volume = this.#options.volumeOf(directory)
    if (volume.exists()) volume.makeRoom(work)
  }

  isLimited(directory: string): boolean {
    if (this.#options.volumeOf(directory).exists()) return true
    return (this.#projects?.numberOf(this.#options.countedOf(directory)) ?? 0) !== 0
  }

  /** @throws GD_INVALID_OPTION for a layer without limits, and for what its means cannot do */
  async change(id: LayerId, directory: string, quota: Quota): Promise<void> {
    checkQuota(`${this.#options.driver}: layer ${id}`, quota)
    const volume = this.#options.volumeOf(directory)
    if (volume.exists()) {
      await volume.change(id, quota)
      return
    }
    if (this.#projects?.change(this.#options.countedOf(directory), quota) === true) return
    throw this.#invalid(
      id,
      givenIn(quota)[0] ?? 'size',
      'it was made without limits, and its files are not counted',
    )
  }

  async usage(directory: string): Promise<Usage | undefined> {
    const volume = this.#options.volumeOf(directory)
    if (!volume.exists()) return this.#projects?.usage(this.#options.countedOf(directory))
    await using _ = await this.#show(volume)
    return volume.usage()
  }

  /** Deletes a layer's directory by `remove`, and what was kept about it after. */
  async ending(
    directory: string,
    remove: () => Promise<void>,
    counted: string = this.#options.countedOf(directory),
  ): Promise<void> {
    const project = this.#projects?.numberOf(counted) ?? 0
    await remove()
    this.#projects?.end(project)
  }

  async #show(volume: Volume): Promise<AsyncDisposable> {
    return this.#options.readOnly === true ? volume.join() : await volume.open()
  }

  #refused(id: LayerId, option: string): Error {
    const { driver, means } = this.#options
    const { reason, hint } = this.#refusal ?? { reason: '', hint: '' }
    const loop =
      means === 'loop'
        ? `a filesystem in a file needs root, loop devices and ${volumeProgram}`
        : `let ${driver} use a file for each such layer: option quota=loop`
    const otherwise = means === 'filesystem-only' ? '' : `, or ${loop}`
    return this.#invalid(id, option, `${reason}; ${hint}${otherwise}`)
  }

  #invalid(id: LayerId, option: string, why: string): Error {
    const { driver } = this.#options
    return new GraphDriverError('GD_INVALID_OPTION', `${driver}: layer ${id}: option '${option}': ${why}`, {
      option,
    })
  }
}

function givenIn({ size, inodes }: Quota): readonly string[] {
  return [...(size === undefined ? [] : ['size']), ...(inodes === undefined ? [] : ['inodes'])]
}

function volumesWork(): boolean {
  return !inUserNamespace() && hasCapability('CAP_SYS_ADMIN') && findCommand(volumeProgram) !== undefined
}
