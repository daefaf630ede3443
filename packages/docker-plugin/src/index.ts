export { type ClientOptions, openPlugin } from './client.ts'
export { type Plugin, type PluginOptions, servePlugin } from './server.ts'
export type { ServiceOptions } from './service.ts'
