import type { LayerId } from '@graphdriver/core'
import { describe, expect, test } from 'vitest'
import { parseFilters } from '../src/filter.ts'
import type { SnapshotRecord } from '../src/record.ts'

const record: SnapshotRecord = {
  key: 'default/1/base',
  kind: 'committed',
  parent: undefined,
  layer: 'layer' as LayerId,
  labels: { 'containerd.io/gc.root': 'yes', colour: 'dark, red', empty: '' },
  created: 0,
  updated: 0,
}

describe('filters', () => {
  test.each([
    [[], true],
    [[''], true],
    [['kind==committed'], true],
    [['kind==active'], false],
    [['kind!=active'], true],
    [['name==default/1/base'], true],
    [['name~=^default/'], true],
    [['name~=/2/'], false],
    [['parent'], false],
    [['parent=='], false],
    [['parent!=x'], true],
    [['labels."containerd.io/gc.root"==yes'], true],
    [['labels."containerd.io/gc.root"'], true],
    [['labels.other'], false],
    [['labels.empty'], true],
    [['labels.colour=="dark, red"'], true],
    [['labels.colour~="r.d$"'], true],
    [['kind==committed,labels.colour==blue'], false],
    [['kind==committed,name~=base'], true],
    [['kind==active', 'name~=base'], true],
    [['unknown==x'], false],
    [['name=="default/1/\\"base"'], false],
  ])('%j is %j', (filters, expected) => {
    expect(parseFilters(filters)(record)).toBe(expected)
  })

  test.each(['==x', 'kind=active', 'kind==a"b', 'name~=(', 'kind==a,,name==b', 'kind==a,'])(
    '%j is refused',
    (filter) => {
      expect(() => parseFilters([filter])).toThrow(/is no filter|no regular expression/)
    },
  )
})
