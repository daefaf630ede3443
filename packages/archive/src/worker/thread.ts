/** The file that a worker thread runs. */
import { perform } from './perform.ts'
import { serveJobs } from './serve.ts'

serveJobs(perform)
