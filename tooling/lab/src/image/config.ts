import type { LabLayer } from './lab-image.ts'

const architectures: Readonly<Partial<Record<NodeJS.Architecture, string>>> = { x64: 'amd64', arm64: 'arm64' }

/** This machine's platform, in the words of image configurations. */
export const platform: { readonly architecture: string; readonly os: string } = {
  architecture: architectures[process.arch] ?? process.arch,
  os: 'linux',
}

const created = '2024-01-01T00:00:00Z'

/** The image's configuration, as the bytes whose digest is the image's id. */
export function imageConfig(layers: readonly LabLayer[], os = platform.os): string {
  return JSON.stringify({
    ...platform,
    os,
    created,
    config: {
      Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
      Cmd: ['/bin/sh'],
    },
    rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
    history: layers.map(({ name }) => ({ created, created_by: `graphdriver lab: ${name}` })),
  })
}
