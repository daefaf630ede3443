import { endianness } from 'node:os'
import process from 'node:process'

/** What a program was built for, in the words of Go that images use. */
export interface Platform {
  readonly os: string
  readonly architecture: string
  readonly variant?: string | undefined
}

const architectures: Readonly<Record<string, string>> = {
  x64: 'amd64',
  ia32: '386',
  ppc64: endianness() === 'LE' ? 'ppc64le' : 'ppc64',
}

/** What runs here. Everywhere but on Windows images are Linux images. */
export function hostPlatform(): Platform {
  const os = process.platform === 'win32' ? 'windows' : 'linux'
  return normalizePlatform({ os, architecture: architectures[process.arch] ?? process.arch })
}

/** One spelling for what several tools spell differently; a variant that says the default is left out. */
export function normalizePlatform(platform: Platform): Platform {
  const os = platform.os.toLowerCase()
  const written = platform.architecture.toLowerCase()
  const architecture = synonyms[written] ?? written
  const variant = platform.variant?.toLowerCase().replace(/^(?=\d)/, 'v') || undefined
  const usual = usualVariant[architecture]
  if (architecture === 'arm') return { os, architecture, variant: variant ?? usual }
  return variant === undefined || variant === usual ? { os, architecture } : { os, architecture, variant }
}

const synonyms: Readonly<Record<string, string>> = {
  x86_64: 'amd64',
  'x86-64': 'amd64',
  i386: '386',
  aarch64: 'arm64',
  armhf: 'arm',
}

const usualVariant: Readonly<Record<string, string>> = { amd64: 'v1', arm64: 'v8', arm: 'v7' }

/** `os/architecture` or `os/architecture/variant`, as `formatPlatform` writes it; undefined for anything else. */
export function parsePlatform(text: string): Platform | undefined {
  const [, os, architecture, variant] = /^([a-z0-9]+)\/([A-Za-z0-9_-]+)(?:\/([a-z0-9]+))?$/.exec(text) ?? []
  if (os === undefined || architecture === undefined) return undefined
  return normalizePlatform({ os, architecture, variant })
}

/** `os/architecture` and, if there is one, `/variant`. */
export function formatPlatform(platform: Platform): string {
  const { os, architecture, variant } = platform
  return [os, architecture, ...(variant === undefined ? [] : [variant])].join('/')
}

/**
 * How well `offered` runs on `wanted`: 0 is exactly it, higher is a lesser choice, `undefined` is not at all.
 * 64-bit processors run the 32-bit programs of their family, newer variants those of older ones.
 *
 * @see https://github.com/containerd/platforms/blob/main/compare.go
 */
export function platformRank(wanted: Platform, offered: Platform): number | undefined {
  const { os, architecture, variant } = normalizePlatform(offered)
  const rank = choices(normalizePlatform(wanted)).findIndex(
    (choice) => choice.os === os && choice.architecture === architecture && choice.variant === variant,
  )
  return rank === -1 ? undefined : rank
}

function choices(wanted: Platform): readonly Platform[] {
  const { os, architecture } = wanted
  switch (architecture) {
    case 'amd64':
      return [...downFrom(wanted, 1), { os, architecture: '386' }]
    case 'arm64':
      return [...downFrom(wanted, 8), ...downFrom({ os, architecture: 'arm', variant: 'v8' }, 5)]
    case 'arm':
      return downFrom(wanted, 5)
    default:
      return [wanted]
  }
}

/** The platform itself, then with each lower variant. */
function downFrom(platform: Platform, lowest: number): readonly Platform[] {
  const { os, architecture, variant } = platform
  const newest = Number(/^v(\d)$/.exec(variant ?? '')?.[1])
  if (Number.isNaN(newest)) return [platform]
  const variants = Array.from({ length: Math.max(newest - lowest + 1, 1) }, (_, down) => `v${newest - down}`)
  return variants.map((each) => normalizePlatform({ os, architecture, variant: each }))
}
