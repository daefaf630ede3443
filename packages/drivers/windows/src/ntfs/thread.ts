/** The file that a worker thread of this driver runs. */
import { serveJobs } from '@graphdriver/archive/trees'
import { performOnNtfs } from './jobs.ts'

serveJobs(performOnNtfs)
