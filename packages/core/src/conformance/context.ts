/**
 * What a case works with: a fresh driver on a fresh root, and words for what cases do. Everything that it hands out
 * is undone at the end of the case, whatever happened.
 */
import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import path from 'node:path'
import type { Driver } from '../driver.ts'
import { isGraphDriverError } from '../error.ts'
import { type LayerId, parseLayerId } from '../id.ts'
import type { Mount } from '../mount.ts'
import { openReadOnly } from '../read-only.ts'
import { hostOf } from '../selection.ts'
import { CannotRun, type Place, type VolumeRequest } from './lab.ts'
import { perform } from './recipe/perform.ts'
import type { Recipe } from './recipe/step.ts'
import { optionsAt, type Subject } from './subject.ts'
import { type ComparisonOptions, compareTrees, type Exception } from './tree/comparison.ts'

/** A layer does not carry its root: after a diff, the root is as the layer was made. */
export const rootIsOwn: readonly Exception[] = (['mtime', 'mode', 'owner', 'xattrs'] as const).map(
  (aspect) => ({ aspect, path: /^\/$/, reason: 'a layer does not carry its root' }),
)

/** For a driver without hard links. */
const linksAreCopied: Exception = { aspect: 'hardlink', reason: 'a layer does not keep hard links here' }

export class CaseContext {
  readonly subject: Subject
  /** The data root. */
  readonly root: string
  /** The case's own directory, in which the root is. */
  readonly directory: string
  readonly driver: Driver
  readonly #open: AsyncDisposable[]

  private constructor(subject: Subject, place: Place, driver: Driver, open: AsyncDisposable[]) {
    this.subject = subject
    this.directory = place.path
    this.root = path.join(place.path, 'root')
    this.driver = driver
    this.#open = open
  }

  /** @throws CannotRun when the driver cannot serve at the place */
  static async open(subject: Subject, place: Place): Promise<CaseContext> {
    const driver = await openDriver(subject, path.join(place.path, 'root')).catch((error: unknown) => {
      throw refusalOf(subject, error)
    })
    return new CaseContext(subject, place, driver, [driver])
  }

  /** Another instance, on the same root unless told otherwise, as another process would have it. */
  async reopen(root: string = this.root): Promise<Driver> {
    return this.keep(await openDriver(this.subject, root))
  }

  /** The same, for reading only. */
  async openReadOnly(): Promise<Driver> {
    const { subject, root } = this
    const host = hostOf(subject.definition, { root, options: await optionsAt(subject, root) })
    return this.keep(await openReadOnly(subject.definition, host))
  }

  /** Undoes something at the end of the case, before the driver is closed. */
  keep<T extends AsyncDisposable>(resource: T): T {
    this.#open.push(resource)
    return resource
  }

  readonly id = (name: string): LayerId => parseLayerId(name)

  /** Mounts a layer, lets `use` work in it, and unmounts it again. */
  readonly within = async <T>(id: LayerId, use: (root: string) => T | Promise<T>): Promise<T> => {
    await using mount = await this.driver.get(id)
    return await use(mount.path)
  }

  /** Makes a layer, and does a recipe in it. */
  async layer(name: string, parent?: LayerId, recipe: Recipe = []): Promise<LayerId> {
    const id = this.id(name)
    await this.driver.create(id, { parent })
    if (recipe.length > 0) await this.within(id, (root) => perform(root, recipe, depthOf(name)))
    return id
  }

  /** The same with `createReadWrite`. */
  async writable(name: string, parent?: LayerId, recipe: Recipe = []): Promise<LayerId> {
    const id = this.id(name)
    await this.driver.createReadWrite(id, { parent })
    if (recipe.length > 0) await this.within(id, (root) => perform(root, recipe, depthOf(name)))
    return id
  }

  /** A stack of layers, one per recipe, the lowest first; named `<name>0`, `<name>1`, … */
  async stack(name: string, ...recipes: readonly Recipe[]): Promise<readonly [LayerId, ...LayerId[]]> {
    const made: LayerId[] = []
    for (const [index, recipe] of recipes.entries()) {
      made.push(await this.layer(`${name}${index}`, made.at(-1), recipe))
    }
    const [first, ...rest] = made
    assert(first !== undefined, 'a stack has at least one layer')
    return [first, ...rest]
  }

  /** A mount that is kept until the end of the case. */
  async mount(id: LayerId, driver: Driver = this.driver): Promise<Mount> {
    return this.keep(await driver.get(id))
  }

  /** An empty directory beside the root, on the same filesystem. */
  scratch(name: string): string {
    const made = path.join(this.directory, name)
    mkdirSync(made, { mode: 0o755 })
    return made
  }

  /** What the same recipes make of a plain directory: the oracle. */
  async oracle(...recipes: readonly Recipe[]): Promise<string> {
    const root = this.scratch(`oracle-${this.#oracles++}`)
    for (const [index, recipe] of recipes.entries()) await perform(root, recipe, index)
    return root
  }

  #oracles = 0

  /** A filesystem of the case's own. @throws CannotRun where the lab has none of that kind */
  async volume(request: VolumeRequest): Promise<string> {
    return this.keep(await this.subject.lab.volume(request)).path
  }

  /** Creates `name` on `parent` and applies the difference between two layers to it. */
  async transplant(name: string, parent: LayerId | undefined, id: LayerId, from?: LayerId): Promise<LayerId> {
    const made = this.id(name)
    await this.driver.create(made, { parent })
    await this.driver.applyDiff(made, parent, this.driver.diff(id, from))
    return made
  }

  /** Fails with one line for each difference between two trees. */
  async sameTree(expected: string, found: string, exceptions: readonly Exception[] = []): Promise<void> {
    const { timestamps, hardLinks } = this.driver.capabilities
    const all = hardLinks ? exceptions : [...exceptions, linksAreCopied]
    const options: ComparisonOptions = { exceptions: all, timestamps }
    const differences = await compareTrees(expected, found, options)
    assert.deepEqual(differences, [], `the trees differ:\n${differences.join('\n')}`)
  }

  /** Fails unless a layer shows what the recipes make of a plain directory. */
  async shows(id: LayerId, ...recipes: readonly Recipe[]): Promise<void> {
    const oracle = await this.oracle(...recipes)
    await this.within(id, (root) => this.sameTree(oracle, root))
  }

  /** The same for a layer that was made from diffs, which do not carry the root's own attributes. */
  async showsApplied(id: LayerId, ...recipes: readonly Recipe[]): Promise<void> {
    const oracle = await this.oracle(...recipes)
    await this.within(id, (root) => this.sameTree(oracle, root, rootIsOwn))
  }

  /** Closes what is open, the last first. Errors are thrown together, after everything was tried. */
  async close(): Promise<void> {
    const errors: unknown[] = []
    for (const resource of this.#open.splice(0).toReversed()) {
      try {
        await resource[Symbol.asyncDispose]()
      } catch (error) {
        errors.push(error)
      }
    }
    if (errors.length > 0)
      throw new AggregateError(errors, `closing failed: ${errors.map(String).join('; ')}`)
  }
}

async function openDriver(subject: Subject, root: string): Promise<Driver> {
  const { definition } = subject
  return definition.open(hostOf(definition, { root, options: await optionsAt(subject, root) }))
}

/** A driver that does not serve here, of which nothing can be said, is told from one that fails to open. */
function refusalOf({ definition, name, lab }: Subject, error: unknown): unknown {
  return isGraphDriverError(error, 'GD_DRIVER_UNSUPPORTED')
    ? new CannotRun(error.message, [name, definition.name, lab.name])
    : error
}

/** The number at the end of a name, so that layers of a stack give the files they touch different times. */
function depthOf(name: string): number {
  return Number(/\d+$/.exec(name)?.[0] ?? 0)
}
