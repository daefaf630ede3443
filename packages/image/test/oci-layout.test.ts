/** Which images of a layout are meant, and what they are called. */
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openImageSource, type Platform, type SourceImage } from '../src/index.ts'
import { DataRoot } from './data-root.ts'
import { type Descriptor, LayoutFile, ociIndex, ociManifest } from './layout-file.ts'
import { base, sampleImage } from './sample-image.ts'

const amd64: Platform = { os: 'linux', architecture: 'amd64' }

describe('an OCI layout', () => {
  let root: DataRoot
  let layout: LayoutFile

  beforeEach(() => {
    root = new DataRoot()
    layout = new LayoutFile()
  })

  afterEach(async () => {
    await root[Symbol.asyncDispose]()
  })

  function of(architecture: string, extra: Readonly<Record<string, string>> = {}): Descriptor {
    const image = sampleImage({ layers: [base], config: { architecture, ...extra } })
    return layout.manifest(image)
  }

  function labelled(descriptor: Descriptor, architecture: string, variant?: string): Descriptor {
    const platform = { os: 'linux', architecture, ...(variant === undefined ? {} : { variant }) }
    return { ...descriptor, platform }
  }

  const named = (descriptor: Descriptor, name: string): Descriptor => {
    return { ...descriptor, annotations: { 'org.opencontainers.image.ref.name': name } }
  }

  async function images(platform: Platform = amd64, name = 'oci'): Promise<readonly SourceImage[]> {
    const location = layout.writeDirectory(path.join(root.scratch, name))
    await using source = await openImageSource(location, { platform })
    expect(source.format).toBe('oci-layout')
    return source.images()
  }

  const architectures = (found: readonly SourceImage[]) =>
    found.map(({ config }) =>
      [config.architecture, config.variant].filter((part) => part !== undefined).join('/'),
    )

  it.each([
    [amd64, 'amd64'],
    [{ os: 'linux', architecture: 'x86_64' }, 'amd64'],
    [{ os: 'linux', architecture: 'arm64' }, 'arm64'],
    [{ os: 'linux', architecture: 'arm64', variant: 'v8' }, 'arm64'],
    [{ os: 'linux', architecture: 'arm' }, 'arm/v7'],
    [{ os: 'linux', architecture: 'arm', variant: 'v6' }, 'arm/v6'],
    [{ os: 'linux', architecture: 'arm', variant: '8' }, 'arm/v7'],
  ])('has the variant for %j', async (platform, expected) => {
    const inner = [
      labelled(of('arm', { variant: 'v6' }), 'arm', 'v6'),
      labelled(of('arm64'), 'arm64', 'v8'),
      labelled(of('amd64'), 'amd64'),
      labelled(of('arm', { variant: 'v7' }), 'arm', 'v7'),
      { ...of('unknown', { os: 'unknown' }), platform: { os: 'unknown', architecture: 'unknown' } },
    ]
    layout.index(
      named(layout.json(ociIndex, { manifests: [layout.json(ociIndex, { manifests: inner })] }), 'app:1'),
    )
    const found = await images(platform)
    expect(architectures(found)).toEqual([expected])
    expect(found[0]?.names).toEqual(['app:1'])
  })

  it('takes a 32-bit image only where there is none of 64 bits', async () => {
    layout.index(labelled(of('386'), '386'))
    expect(architectures(await images())).toEqual(['386'])
    layout.index(labelled(of('386'), '386'), labelled(of('amd64'), 'amd64'))
    expect(architectures(await images())).toEqual(['amd64'])
  })

  it('has no variant for this platform: it says what there is', async () => {
    layout.index(labelled(of('arm', { variant: 'v7' }), 'arm', 'v7'), labelled(of('s390x'), 's390x'))
    await expect(images()).rejects.toMatchObject({
      code: 'GD_IMAGE_PLATFORM',
      details: { platform: 'linux/amd64', found: ['linux/arm/v7', 'linux/s390x'] },
    })
  })

  it('needs no blobs of other platforms', async () => {
    const foreign = { mediaType: ociManifest, digest: `sha256:${'b'.repeat(64)}`, size: 10 }
    layout.index(labelled(foreign, 's390x'), labelled(of('amd64'), 'amd64'))
    expect(architectures(await images())).toEqual(['amd64'])
  })

  it('looks into the config where the index does not say the platform', async () => {
    layout.index(of('s390x'), of('amd64'))
    expect(architectures(await images())).toEqual(['amd64'])
  })

  it('passes over what is no image', async () => {
    const empty = layout.blob('application/vnd.oci.empty.v1+json', Buffer.from('{}'))
    const signature = layout.json(ociManifest, { config: empty, layers: [] })
    const unknown = layout.blob('text/plain', Buffer.from('x'))
    layout.index(signature, unknown, of('amd64'))
    expect(architectures(await images())).toEqual(['amd64'])
  })

  it.each([
    [
      { 'io.containerd.image.name': 'docker.io/library/app:2', 'org.opencontainers.image.ref.name': '2' },
      ['app:2'],
    ],
    [{ 'org.opencontainers.image.ref.name': 'ghcr.io/a/b:c' }, ['ghcr.io/a/b:c']],
    [{ 'org.opencontainers.image.ref.name': 'app' }, ['app:latest']],
    [{ 'org.opencontainers.image.ref.name': 'latest' }, ['my-layout:latest']],
    [{ 'org.opencontainers.image.ref.name': 'v1.2' }, ['my-layout:v1.2']],
    [{ 'org.opencontainers.image.ref.name': 'Not A Name' }, []],
    [{}, []],
  ])('annotated with %j has the names %j', async (annotations, names) => {
    layout.index({ ...of('amd64'), annotations })
    expect((await images(amd64, 'my-layout'))[0]?.names).toEqual(names)
  })

  it('has one image under several names, and several without a name', async () => {
    const image = of('amd64')
    layout.index(named(image, 'a:1'), named(image, 'b:1'))
    expect((await images()).map(({ names }) => names)).toEqual([['a:1', 'b:1']])
    layout.index(of('amd64'), of('amd64', { author: 'other' }))
    expect(await images()).toHaveLength(2)
  })

  it('has under one name the first image that fits', async () => {
    const [first, second] = [of('amd64', { author: 'first' }), of('amd64', { author: 'second' })]
    layout.index(named(of('s390x'), 'a:1'), named(first, 'a:1'), named(second, 'a:1'))
    expect((await images()).map(({ config, names }) => [config.author, names])).toEqual([['first', ['a:1']]])
  })

  it("has Docker's media types too", async () => {
    const image = sampleImage({ layers: [base] })
    const config = layout.blob('application/vnd.docker.container.image.v1+json', image.configBytes)
    const layers = [layout.blob('application/vnd.docker.image.rootfs.diff.tar', base)]
    const mediaType = 'application/vnd.docker.distribution.manifest.v2+json'
    const list = 'application/vnd.docker.distribution.manifest.list.v2+json'
    layout.index(
      layout.json(list, { manifests: [labelled(layout.json(mediaType, { config, layers }), 'amd64')] }),
    )
    expect((await images())[0]?.id).toBe(image.id)
  })
})
