import { library } from '@tooling/tsup'

export default library(
  'src/index.ts',
  'src/btrfs/index.ts',
  'src/devicemapper/index.ts',
  'src/overlayfs/index.ts',
  'src/quota/index.ts',
  'src/windows/index.ts',
  'src/zfs/index.ts',
)
