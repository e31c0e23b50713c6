package main

import (
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"
)

// journal writes lines in the JSON that mongod logs in.
type journal struct {
	mu  sync.Mutex
	out io.Writer
	now func() time.Time
}

func (j *journal) info(component, message string) {
	line, err := json.Marshal(map[string]any{
		"t": map[string]string{"$date": j.now().Format("2006-01-02T15:04:05.000-07:00")},
		"s": "I", "c": component, "id": 0, "ctx": "main", "msg": message,
	})
	if err != nil {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	fmt.Fprintf(j.out, "%s\n", line)
}
