/** Where the files of the repository are in the site, and what leads to them. */
import path from 'node:path'

const repository = 'https://github.com/graphdriver/graphdriver/blob/main/'

/**
 * @param file relative to the repository
 * @returns a page relative to the site, `undefined` for what is no page
 */
export function pageOf(file: string): string | undefined {
  const inPackages = /^packages\/(?:drivers\/)?([\w-]+)(?:\/README\.md)?$/.exec(file)
  if (inPackages !== null && inPackages[1] !== 'drivers') return `packages/${inPackages[1]}.md`
  if (/^examples(?:\/README\.md)?$/.test(file)) return 'examples.md'
  return /^docs\/(.+\.md)$/.exec(file)?.[1]
}

/** Turns links between files of the repository into those between pages, and all others into ones to the repository. */
export function relinked(text: string, file: string): string {
  const page = pageOf(file) ?? file
  return text.replaceAll(/\]\((?![a-z]+:|#)([^)\s#]+)(#[^)\s]*)?\)/g, (whole, target: string, hash = '') => {
    const found = path.posix.join(path.posix.dirname(file), target)
    // Made with the site.
    if (/^docs\/(?:api|packages)\//.test(found) || /\.(?:svg|png)$/.test(target)) return whole
    const there = pageOf(found)
    if (there === undefined) return `](${repository}${found}${hash})`
    const relative = path.posix.relative(path.posix.dirname(page), there)
    return `](${relative.startsWith('.') ? relative : `./${relative}`}${hash})`
  })
}
