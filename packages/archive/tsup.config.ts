import { library } from '@tooling/tsup'

export default library('src/index.ts', 'src/trees.ts', 'src/worker/thread.ts')
