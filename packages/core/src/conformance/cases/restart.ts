import { casesOf, type ConformanceCase } from '../case.ts'

export const restart: readonly ConformanceCase[] = casesOf('restart')
