import { parseArgs } from 'node:util'
import { runWork } from './run.ts'
import { works as all } from './works/index.ts'

const { values } = parseArgs({
  options: {
    work: { type: 'string', multiple: true },
    rounds: { type: 'string' },
    only: { type: 'string' },
    scale: { type: 'string', default: 'full' },
    storage: { type: 'string', default: 'disk' },
  },
})
const works = all.filter(({ id }) => values.work === undefined || values.work.includes(id))
for (const work of works) {
  await runWork(work, {
    setting: { scale: values.scale as 'full', storage: values.storage as 'disk' },
    rounds: values.rounds === undefined ? undefined : Number(values.rounds),
    only: values.only,
    onProgress: (line) => console.log(line),
  })
}
