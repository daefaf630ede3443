/** What a small change of a large image is: `difference.ts ROOT TAR DRIVER ROUNDS`. */
import type { DriverDefinition } from '@graphdriver/core'
import btrfs from '@graphdriver/btrfs'
import overlay2 from '@graphdriver/overlay2'
import vfs from '@graphdriver/vfs'
import { timesOfChanges } from './changed-image.ts'
import { tell } from './result.ts'

const [root = '', tar = '', name = '', rounds = '1'] = process.argv.slice(2)
const known: readonly DriverDefinition[] = [btrfs, overlay2, vfs]
const definition = known.find((driver) => driver.name === name)
if (definition === undefined) throw new Error(`${name} is no driver that is measured here`)
tell({ wall: [...(await timesOfChanges(definition, root, tar, Number(rounds)))] })
