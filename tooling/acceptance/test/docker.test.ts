/** The data root is Docker's: a daemon opens what we wrote, and we open what a daemon wrote. */
import path from 'node:path'
import {
  debianImage,
  debianImageRequirements,
  filesystem,
  type LabImage,
  missingGuest,
  need,
  runInGuest,
} from '@tooling/lab'
import { beforeAll, expect, test } from 'vitest'
import {
  containerGoesOn,
  dockerServesOurs,
  type Roots,
  weServeAufs,
  weServeDockers,
} from '../src/docker-roots.ts'
import { enginePlaces } from '../src/engine-places.ts'

const requirements = [...debianImageRequirements, { command: 'dockerd' }, { command: 'docker' }]
const missing = need(...requirements)
const missingInGuest = await missingGuest(...requirements)
const inGuest = new URL('guest/docker-roots.ts', import.meta.url).pathname
/** No kernel of today, and so no dockerd of its own, has aufs. */
const drivers = enginePlaces.filter(([driver]) => driver !== 'aufs')
let image: LabImage

beforeAll(async () => {
  if (missing === undefined) image = await debianImage()
})

const scenarios: readonly (readonly [sentence: string, show: (roots: Roots) => Promise<void>])[] = [
  ['dockerd lists, runs and saves what we loaded', dockerServesOurs],
  ['we list, run and give back what dockerd loaded', weServeDockers],
  ['a container of dockerd’s is seen and changed by us, and goes on', containerGoesOn],
]

for (const [sentence, show] of scenarios)
  test.for(drivers)(`${sentence}: %j (root, docker.io)`, async ([driver, kind], { skip }) => {
    skip(missing !== undefined, missing)
    await using own = await filesystem(kind, { sizeMiB: 6144, storage: 'memory' })
    await expect(
      show({ place: { root: path.join(own.path, 'root'), driver }, image, scratch: own.path }),
    ).resolves.toBeUndefined()
  })

test('we list, run and give back what dockerd left with aufs (root, docker.io)', async ({ skip }) => {
  skip(missing !== undefined, missing)
  await using own = await filesystem('ext4', { sizeMiB: 6144, storage: 'memory' })
  const roots: Roots = {
    place: { root: path.join(own.path, 'root'), driver: 'aufs' },
    image,
    scratch: own.path,
  }
  await expect(weServeAufs(roots)).resolves.toBeUndefined()
})

// The kernels of test machines have neither.
test.for(['devicemapper', 'zfs'])(
  'the three of dockerd on %s (in a guest)',
  { timeout: 3_600_000 },
  async (driver, { skip }) => {
    skip(missingInGuest !== undefined, missingInGuest)
    const { exitCode, stdout, stderr } = await runInGuest({
      command: [process.execPath, inGuest, driver],
      scratch: { filesystem: 'ext4', sizeMiB: 40_000 },
      disks: [{ sizeMiB: 20_000 }],
      waits: true,
      seconds: 1500,
    })
    expect([exitCode, stdout, stderr]).toEqual([
      0,
      expect.stringContaining('containerGoesOn'),
      expect.any(String),
    ])
  },
)
