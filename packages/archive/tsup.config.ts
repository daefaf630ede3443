import { library } from '@tooling/tsup'

export default library('src/index.ts', 'src/apply/worker.ts')
