import { SnapshotError } from './error.ts'

type Labels = Readonly<Record<string, string>>

/**
 * Labels after an update with a field mask.
 *
 * @throws SnapshotError `invalid` for a path that is no label's
 */
export function changedLabels(old: Labels, wanted: Labels, paths: readonly string[]): Labels {
  if (paths.length === 0 || paths.includes('labels')) return wanted
  const changed: Record<string, string> = { ...old }
  for (const path of paths) {
    if (!path.startsWith('labels.'))
      throw new SnapshotError('invalid', `of a snapshot only its labels can be updated, not '${path}'`)
    const name = path.slice('labels.'.length)
    const value = wanted[name]
    // An empty value takes a label away, as containerd does it.
    if (value === undefined || value === '') delete changed[name]
    else changed[name] = value
  }
  return changed
}
