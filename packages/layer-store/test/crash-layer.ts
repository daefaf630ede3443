import { tar } from './tar-file.ts'

export const crashBase: Buffer = tar({ name: 'base/' }, { name: 'base/file', content: 'base' })

/** Large enough to be killed in the middle of. */
export const crashLayer: Buffer = tar(
  { name: 'base/.wh.file', mode: 0o600 },
  ...Array.from({ length: 120 }, (_, i) => ({ name: `file${i}`, content: Buffer.alloc(1000 * (i % 40), i) })),
)
