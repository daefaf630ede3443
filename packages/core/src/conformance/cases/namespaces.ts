import { casesOf, type ConformanceCase } from '../case.ts'

export const namespaces: readonly ConformanceCase[] = casesOf('namespaces')
