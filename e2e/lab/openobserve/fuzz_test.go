package main

import (
	"bytes"
	"testing"
)

// FuzzSQL looks for panics in the parser and for parsed queries that the executor cannot plan or run.
func FuzzSQL(f *testing.F) {
	for _, seed := range []string{
		`SELECT * FROM "app"`,
		`SELECT a AS b, "c d" FROM app WHERE a = 'x''y' AND (b > 1.5 OR NOT c LIKE '%\%_') ORDER BY a DESC LIMIT 3 OFFSET 1;`,
		`SELECT level, count(*) AS n, min(a) AS m FROM app GROUP BY level ORDER BY n`,
		`SELECT count(*) FROM app WHERE match_all('x') AND str_match(a, 'y') AND b IS NOT NULL AND c = TRUE`,
		`SELECT * FROM app ORDER BY count(*)`,
		`SELECT count(a) AS n0, approx_distinct(CAST("b" AS VARCHAR)) AS d0, sum(octet_length(a)) AS s FROM "app"`,
		`((((`, `'`, `"`, "SELECT \xff FROM", `SELECT * FROM a WHERE a = 99999999999999999999999999.9`,
	} {
		f.Add(seed)
	}
	parser, err := newSQLParser()
	if err != nil {
		f.Fatal(err)
	}
	rec := fields{"a": "x", "b": number(1), "c": true, "level": "info", "message": "m", timestampField: number(1)}
	schema := map[string]fieldType{}
	learn(schema, rec)
	schema["c"] = typeString
	f.Fuzz(func(t *testing.T, sql string) {
		q, err := parser.parse(sql)
		if err != nil {
			return
		}
		p, err := newPlan(q, schema, 0, 10)
		if err != nil {
			return
		}
		p.where(rec)
		if !q.aggregate() {
			p.project(rec)
			p.order()(record{ts: 1, fields: rec}, record{ts: 2, fields: fields{}})
			return
		}
		g := p.newGroup("x")
		p.add(g, rec)
		row := p.row(g)
		p.sortGroups([]fields{row, {}})
	})
}

// FuzzRecords checks that the loader neither panics nor loses its place: what it calls whole loads again, untorn.
func FuzzRecords(f *testing.F) {
	f.Add([]byte("{\"_timestamp\":1,\"a\":\"b\"}\n{\"_timestamp\":2}\n"))
	f.Add([]byte("{\"_timestamp\":1}\n{\"_timest"))
	f.Add([]byte("{\"_timestamp\":1}\nx\n{\"_timestamp\":2}\n"))
	f.Add([]byte("\n\n"))
	f.Add([]byte("{\"_timestamp\":1e3,\"_timestamp\":9223372036854775807}\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := loadRecords(bytes.NewReader(raw))
		if err != nil {
			return
		}
		if got.size > int64(len(raw)) || (got.torn == 0) != (got.size == int64(len(raw))) {
			t.Fatalf("size %d, torn %d of %d bytes", got.size, got.torn, len(raw))
		}
		again, err := loadRecords(bytes.NewReader(raw[:got.size]))
		if err != nil || again.torn != 0 || len(again.index) != len(got.index) {
			t.Fatalf("second load: %d records, torn %d, %v; first: %d", len(again.index), again.torn, err, len(got.index))
		}
	})
}
