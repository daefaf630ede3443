import { casesOf, type ConformanceCase } from '../case.ts'

export const mount: readonly ConformanceCase[] = casesOf('mount')
