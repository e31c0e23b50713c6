// Finds the VRL programs in the bundle's configuration.
import { readFileSync, readdirSync, existsSync } from 'node:fs'
import { join, relative } from 'node:path'
import { parse } from 'yaml'

const repo = new URL('../..', import.meta.url).pathname

// Where configuration comes from. A profile may bring Vector files of its own, and a report writes rules for the agent.
const roots = { bundle: 'stack/bundle/config', profiles: 'profiles', rules: 'report/cardinality/testdata' }

// What the plugin fills in when it renders the files; the cases expect these values.
export const values = { Project: 'telemetry', Host: 'docker-host' }

// find returns a Map from "bundle/agent/logs.yaml#docker_kept" to { source, kind }.
export function find() {
  const found = new Map()
  for (const { name, config } of configs()) {
    for (const [id, transform] of Object.entries(config.transforms)) {
      for (const program of programs(`${name}#${id}`, transform)) found.set(program.key, program)
    }
  }
  return found
}

// testConditions returns { key, source } for each condition of a unit test of Vector.
export function testConditions() {
  return configs().flatMap(({ name, config }) => (config.tests ?? []).flatMap((test) =>
    test.outputs.flatMap((output) => (output.conditions ?? []).map((c) => ({
      key: `${name}: ${test.name}`, source: condition(name, c),
    })))))
}

function configs() {
  return Object.entries(roots).flatMap(([root, dir]) => yamlFiles(join(repo, dir)).flatMap((file) => {
    const text = readFileSync(file, 'utf8')
    if (!/^transforms:/m.test(text)) return [] // not a Vector file, or one without programs
    const name = `${root}/${relative(join(repo, dir), file)}`
    return [{ name, config: parse(render(text, name)) }]
  }))
}

function yamlFiles(dir) {
  if (!existsSync(dir)) return []
  return readdirSync(dir, { recursive: true })
    .filter((f) => f.endsWith('.yaml'))
    .sort()
    .map((f) => join(dir, f))
}

// render does for these two forms what the plugin's template engine does; another form is an error,
// since a program that is half a template would be tested as something it never is.
function render(text, name) {
  const out = text.replace(/\[\[ (vrl )?\.(\w+) \]\]/g, (action, vrl, field) => {
    if (!(field in values)) throw new Error(`${name}: no test value for ${action}`)
    return vrl ? JSON.stringify(values[field]) : values[field]
  })
  const rest = out.match(/\[\[.*/)
  if (rest) throw new Error(`${name}: a template action that the test cannot render: ${rest[0]}`)
  return out
}

function programs(key, transform) {
  switch (transform.type) {
    case 'remap':
      return [{ key, kind: 'remap', source: transform.source }]
    case 'filter':
      return [{ key, kind: 'condition', source: condition(key, transform.condition) }]
    case 'route':
      return Object.entries(transform.route).map(([name, c]) => ({
        key: `${key}.${name}`, kind: 'condition', source: condition(`${key}.${name}`, c),
      }))
  }
  for (const field of ['source', 'condition', 'exclude', 'starts_when', 'ends_when']) {
    if (field in transform) throw new Error(`${key}: ${transform.type} may hold VRL in ${field}, and the test does not know it`)
  }
  return []
}

function condition(key, c) {
  if (typeof c === 'string') return c
  if (c?.type !== 'vrl') throw new Error(`${key}: not a VRL condition`)
  return c.source
}
