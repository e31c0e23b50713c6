// Every VRL program of the bundle is compiled and run by the VRL compiler itself (vectordotdev/vrl,
// built for WebAssembly and shipped in the npm package @bpinternal/verel).
//
// What this does not show:
// - get_hostname() has no host in WebAssembly. The program is compiled as it is, and run with that one
//   call replaced by a string.
// - An event is a plain object here. Vector gives a metric's program a stricter target (tags must be
//   strings, only some fields may be set); these cases stay within it, but do not prove it.
// - The compiler in the package is not the one in the pinned Vector, though close.
import test from 'node:test'
import assert from 'node:assert/strict'
import { check, execute, formatDiagnostic } from '@bpinternal/verel'
import { find, testConditions } from './programs.js'
import { read, Now, Typed } from './cases.js'

const hostname = 'replica-1'
const programs = find()
const cases = read()

test('there are programs', () => assert.ok(programs.size > 0))

test('every case names a program', () => {
  const unknown = [...cases.keys()].filter((key) => !programs.has(key))
  assert.deepEqual(unknown, [])
})

test('the conditions of unit tests compile', () => {
  const conditions = testConditions()
  assert.ok(conditions.length > 0)
  for (const { key, source } of conditions) {
    const { errors, warnings } = check(source)
    assert.deepEqual([...errors, ...warnings].map(formatDiagnostic), [], key)
  }
})

for (const [key, program] of programs) {
  test(key, async (t) => {
    await t.test('compiles without an error or a warning', () => {
      const { errors, warnings } = check(program.source)
      assert.deepEqual([...errors, ...warnings].map(formatDiagnostic), [])
    })
    await t.test('has cases', () => assert.ok(cases.get(key)?.length > 0))
    for (const c of cases.get(key) ?? []) {
      await t.test(c.name, () => run(program, c))
    }
  })
}

function run(program, { name, input, want, ...unknown }) {
  assert.deepEqual(Object.keys(unknown), [], 'unknown field in the case')
  assert.notEqual(want, undefined, 'a case without a wanted result')
  const { prelude, event } = prepare(input)
  const source = prelude + program.source.replaceAll('get_hostname!()', JSON.stringify(hostname))
  const got = execute(source, event)
  if (program.kind === 'condition') {
    assert.equal(got.result, want)
    return
  }
  assert.deepEqual(settle(got.event, want), want)
}

// prepare splits an input event into what JSON can carry and VRL that makes the rest. `get!` hides
// the type from the compiler: in Vector it does not know the type of a field either.
function prepare(input) {
  const event = {}
  let prelude = ''
  for (const [field, value] of Object.entries(input)) {
    if (value instanceof Typed) prelude += `."${field}" = get!({"v": ${value.vrl}}, ["v"])\n`
    else event[field] = value
  }
  return { prelude, event }
}

// settle replaces a field that is wanted to be the present by that marker if it is.
function settle(got, want) {
  const out = { ...got }
  for (const [field, value] of Object.entries(want)) {
    if (value instanceof Now && Math.abs(Date.now() - out[field] / 1000) < 60_000) out[field] = value
  }
  return out
}
