// Reads the cases: cases/<root>/<file>.yaml has the same path as the file under test, and in it one
// list of cases for each component.
//
// Tags for what JSON cannot carry:
//   !timestamp "2026-01-01T00:00:00Z"   a VRL timestamp (input)
//   !bytes "base64"                     raw bytes, for text that is not UTF-8 (input)
//   !now                                the present, in microseconds since 1970 (want)
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'

// Typed is an input value that has to be made by VRL, inside the program.
export class Typed {
  constructor(vrl) {
    this.vrl = vrl
  }
}

export class Now {}

const customTags = [
  { tag: '!timestamp', resolve: (s) => new Typed(`t'${s}'`) },
  { tag: '!bytes', resolve: (s) => new Typed(`decode_base64!(${JSON.stringify(s)})`) },
  { tag: '!now', resolve: () => new Now() },
]

// read returns a Map from the key of a program to its cases.
export function read() {
  const dir = new URL('cases', import.meta.url).pathname
  const all = new Map()
  for (const file of readdirSync(dir, { recursive: true }).filter((f) => f.endsWith('.yaml')).sort()) {
    const doc = parse(readFileSync(join(dir, file), 'utf8'), { customTags, merge: true })
    for (const [id, cases] of Object.entries(doc)) all.set(`${file}#${id}`, cases)
  }
  return all
}
