/** `node race-swapper.ts ROOT VICTIM`: puts a link to the victim in the place of a directory and back, as fast as it can. */
import { renameSync, symlinkSync, unlinkSync } from 'node:fs'
import path from 'node:path'
import { argv } from 'node:process'

const [root = '', victim = ''] = argv.slice(2)
const [shown, away] = [path.join(root, 'a'), path.join(root, '.away')]
for (;;) {
  for (const step of [
    () => renameSync(shown, away),
    () => symlinkSync(victim, shown),
    () => unlinkSync(shown),
    () => renameSync(away, shown),
  ]) {
    try {
      step()
    } catch {
      // The other one has just made, removed or replaced it.
    }
  }
}
