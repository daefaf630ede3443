import { describe, expect, it } from 'vitest'
import { parseReference } from '../src/index.ts'

const digest = `sha256:${'a'.repeat(64)}`

describe('an image name', () => {
  it.each([
    ['busybox', 'docker.io', 'library/busybox', 'latest', 'busybox:latest'],
    ['busybox:1.36', 'docker.io', 'library/busybox', '1.36', 'busybox:1.36'],
    ['library/busybox', 'docker.io', 'library/busybox', 'latest', 'busybox:latest'],
    ['docker.io/busybox', 'docker.io', 'library/busybox', 'latest', 'busybox:latest'],
    ['index.docker.io/library/busybox:x', 'docker.io', 'library/busybox', 'x', 'busybox:x'],
    ['me/app', 'docker.io', 'me/app', 'latest', 'me/app:latest'],
    ['library/me/app', 'docker.io', 'library/me/app', 'latest', 'library/me/app:latest'],
    ['localhost/app', 'localhost', 'app', 'latest', 'localhost/app:latest'],
    ['localhost:5000/app:v1', 'localhost:5000', 'app', 'v1', 'localhost:5000/app:v1'],
    ['[::1]:5000/app', '[::1]:5000', 'app', 'latest', '[::1]:5000/app:latest'],
    ['ghcr.io/a/b__c/d-e.f:X_1', 'ghcr.io', 'a/b__c/d-e.f', 'X_1', 'ghcr.io/a/b__c/d-e.f:X_1'],
    ['HOST/app', 'HOST', 'app', 'latest', 'HOST/app:latest'],
  ])('%s is read as Docker reads it', (text, domain, path, tag, familiar) => {
    expect(parseReference(text)).toMatchObject({ domain, path, tag, digest: undefined, familiar })
  })

  it('with a digest has no tag by default, and is known by its digest', () => {
    expect(parseReference(`busybox@${digest}`)).toMatchObject({ tag: undefined, digest })
    expect(parseReference(`busybox:1@${digest}`)).toMatchObject({ tag: '1', familiar: `busybox@${digest}` })
  })

  it.each([
    '',
    ':latest',
    'a:',
    'a b',
    'Busybox',
    'a//b',
    '/a',
    'a/',
    'a:-x',
    `a:${'x'.repeat(129)}`,
    'a@sha256:1234',
    `a@md5:${'a'.repeat(32)}`,
    'a'.repeat(64),
    'a'.repeat(256),
    'a..b',
    'a___b',
    '-a',
    'host_name.x/a',
    'host:port/a',
    '../a',
    'x'.repeat(100_000),
  ])('%s is refused', (text) => {
    expect(() => parseReference(text)).toThrow(expect.objectContaining({ code: 'GD_INVALID_REFERENCE' }))
  })

  it('in upper case is refused with the reason', () => {
    expect(() => parseReference('Busybox')).toThrow(/written in lower case/)
  })
})
