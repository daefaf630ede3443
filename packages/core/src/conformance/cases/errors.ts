import { casesOf, type ConformanceCase } from '../case.ts'

export const errors: readonly ConformanceCase[] = casesOf('errors')
