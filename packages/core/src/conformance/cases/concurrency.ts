import { casesOf, type ConformanceCase } from '../case.ts'

export const concurrency: readonly ConformanceCase[] = casesOf('concurrency')
