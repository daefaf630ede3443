import { casesOf, type ConformanceCase } from '../case.ts'

export const changes: readonly ConformanceCase[] = casesOf('changes')
