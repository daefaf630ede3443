import { library } from '@tooling/tsup'

export default library('src/main.ts', 'src/runtime/chroot-init.ts')
