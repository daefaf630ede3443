import { casesOf, type ConformanceCase } from '../case.ts'

export const disposal: readonly ConformanceCase[] = casesOf('disposal')
