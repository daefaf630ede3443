import { casesOf, type ConformanceCase } from '../case.ts'

export const abort: readonly ConformanceCase[] = casesOf('abort')
