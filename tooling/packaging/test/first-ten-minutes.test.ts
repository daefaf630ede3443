/** The first ten minutes of somebody who has npm and a registry at hand, from the packed packages. */
import path from 'node:path'
import {
  debianImage,
  debianImageRequirements,
  filesystem,
  filesystemRequirements,
  need,
  registryRequirements,
  startRegistry,
} from '@tooling/lab'
import { expect, test } from 'vitest'
import { Project } from '../src/project.ts'
import { serveScope } from '../src/scope-registry.ts'
import { packAll } from '../src/tarballs.ts'
import { Transcript } from '../src/transcript.ts'

const missing = need(
  { command: 'npm' },
  { root: true, kernelFilesystem: 'overlay' },
  ...registryRequirements,
  ...debianImageRequirements,
  ...filesystemRequirements('xfs'),
)

test.skipIf(missing !== undefined)(
  `install, doctor, pull, run, tree, migrate, check (${missing ?? 'as root'})`,
  async () => {
    // In memory, and where copies share their content: elsewhere whoever waits for the disk would wait for these gigabytes.
    await using directory = await filesystem('xfs', { sizeMiB: 6144, storage: 'memory' })
    const image = await debianImage()
    await using registry = await startRegistry(path.join(directory.path, 'registry'))
    await registry.put(`docker-archive:${image.dockerArchive}`, 'debian:lab')
    await using scope = await serveScope(await packAll(directory.path))
    const project = await Project.at(path.join(directory.path, 'mine'), scope.npmrc)
    const shell = new Transcript(project)
    const graphdriver = 'npx --no-install graphdriver --root root'
    const name = `${registry.host}/debian:lab`

    await shell.succeed('npm install @graphdriver/cli', /^added \d+ packages/m)
    await shell.succeed(`${graphdriver} doctor`, /overlay2 is taken here where nothing else is said/)
    await shell.succeed(`${graphdriver} pull --plain-http ${name}`, /debian:lab/)
    await shell.succeed(`${graphdriver} images`, /debian:lab/)
    await shell.succeed(`${graphdriver} run ${name} -- python3 -c print(6*7)`, /^42$/m)
    await shell.succeed(`${graphdriver} mount ${name} --name box`, /root\/overlay2\/[0-9a-f]+\/merged$/m)
    await shell.succeed(`${graphdriver} cp /etc/hostname box:/etc/from-outside`, /^$/)
    await shell.succeed(`${graphdriver} changes box`, /^A +\/etc\/from-outside$/m)
    await shell.succeed(`${graphdriver} unmount box`, /^/)
    await shell.succeed(`${graphdriver} tree`, /box/)
    await shell.succeed(`${graphdriver} df`, /\d [kMG]B/)
    await shell.succeed(
      `${graphdriver} migrate --from overlay2 --to vfs --dry-run`,
      /would move 1 image, \d+ layers, 1 writable layer/,
    )
    await shell.succeed(
      `${graphdriver} migrate --from overlay2 --to vfs`,
      /moved 1 image, \d+ layers, 1 writable layer/,
    )
    await shell.succeed(`${graphdriver} changes box`, /^A +\/etc\/from-outside$/m)
    await shell.succeed(`${graphdriver} check --full`, /nothing is damaged/)
    await shell.succeed(`${graphdriver} migrate --finish`, /deleted what overlay2 held/)
    await shell.succeed(`${graphdriver} run ${name} -- python3 -c print(6*8)`, /^48$/m)
    await shell.succeed(`${graphdriver} rm box`, /box/)
    await shell.succeed(`${graphdriver} rmi ${name}`, /debian:lab/)
    await shell.succeed(`${graphdriver} layers`, /^# .* ON$/)

    // What goes wrong says what to do.
    await shell.fail(
      `${graphdriver} pull --plain-http 127.0.0.1:1/debian:lab`,
      /127\.0\.0\.1:1.*\[GD_REGISTRY_FAILED\]/,
    )
    await shell.fail(`${graphdriver} pull ${name}`, /--plain-http/)
    await shell.fail(`${graphdriver} run ${name}`, /\[GD_IMAGE_NOT_FOUND\]/)
    expect(shell.text).toContain(`$ ${graphdriver} check --full`)
  },
  300_000,
)
