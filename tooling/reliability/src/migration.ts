/** Moving all to another driver, by the command: it opens both itself. */
import { rmSync } from 'node:fs'
import path from 'node:path'
import { leftBehind, leftBehindFile } from '@graphdriver/core'
import { command } from '@graphdriver/core/conformance'
import { createContainer, graphdriver, type LoneOperation, writeInto } from './operation.ts'
import { openRoot } from './root.ts'
import { damagesOf, reset, stateOf } from './state.ts'

/** One that can be on the filesystem of any other. */
function targetOf(driver: string): string {
  return driver === 'vfs' ? 'overlay2' : 'vfs'
}

export const migration: LoneOperation = {
  name: 'migrate',
  title: 'migrate to another driver',
  // No other driver keeps layers of Windows.
  isFor: (os) => os === 'linux',
  async prepare(root) {
    await createContainer(root)
    await writeInto(root)
  },
  words: (driver, root) => ['--root', root, 'migrate', '--from', driver, '--to', targetOf(driver)],
  async isDone(driver, root) {
    return (await leftBehind(root))[driver] === targetOf(driver)
  },
  async verify(driver, root) {
    const wanted = await stateAt(driver, root)
    const found = await stateAt(targetOf(driver), root)
    return [
      ...found.damages,
      ...(JSON.stringify(wanted.state) === JSON.stringify(found.state)
        ? []
        : ['the target does not hold what the source holds']),
    ]
  },
  async undo(driver, root) {
    const target = targetOf(driver)
    {
      await using opened = await openRoot(target, root)
      await reset(opened)
      for (const { name } of opened.references.list()) await opened.references.untag(name)
      for (const { id } of opened.images.list()) await opened.images.delete(id)
    }
    for (const left of [path.join(root, target), path.join(root, 'image', target), leftBehindFile(root)])
      rmSync(left, { recursive: true, force: true })
    // What the command itself may have left is for the command to find.
    await command(process.execPath, [graphdriver, '--root', root, 'gc'])
  },
}

async function stateAt(
  driver: string,
  root: string,
): Promise<{ readonly state: unknown; readonly damages: readonly string[] }> {
  await using opened = await openRoot(driver, root)
  const { visible, layers } = stateOf(opened)
  return { state: [visible.toSorted(), layers.toSorted()], damages: await damagesOf(opened) }
}
