/** `npm run site` builds the documentation into tooling/docs/dist, or into the directory that is named. */
import path from 'node:path'
import { build } from 'vitepress'
import { assemble } from './assemble.ts'

const out = path.resolve(process.argv[2] ?? path.join(import.meta.dirname, '../dist'))
const site = path.join(import.meta.dirname, '../.site')
const pages = await assemble(site)
await build(site, { outDir: out })
console.log(`${pages.length} pages and the interfaces are in ${out}`)
