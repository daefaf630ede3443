import { library } from '@tooling/tsup'

export default library('src/index.ts')
