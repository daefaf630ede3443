export { LayerQuota, type LayerQuotaOptions, type Room } from './layer-quota.ts'
export { parseQuotaOptions, type QuotaOptions, quotaOptionNames } from './options.ts'
export { StackVolumes } from './stack-volumes.ts'
export { reapVolumes, Volume } from './volume.ts'
