//go:build store

package storetest_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/storage/victoriametrics/storetest"
)

// TestStoreFlush has writers beside each other, because each flush may have taken the samples of another one and not be done
// with them. The store's own flusher does the same to a single writer, but only once in some hundred runs.
func TestStoreFlush(t *testing.T) {
	const writers, rounds = 8, 3
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	store, err := storetest.Start(ctx, t.TempDir())
	assert.NilError(t, err)
	defer func() { assert.NilError(t, store.Stop()) }()

	now := time.Now()
	var all sync.WaitGroup
	for writer := range writers {
		all.Go(func() {
			for round := range rounds {
				if err := findsOwn(ctx, store, fmt.Sprintf("%d-%d", writer, round), now); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
}

func findsOwn(ctx context.Context, store *storetest.Store, writer string, now time.Time) error {
	const samples = 2000
	var body bytes.Buffer
	for i := range samples {
		storetest.WriteLine(&body, map[string]string{"__name__": "flushed", "writer": writer, "i": strconv.Itoa(i)}, now)
	}
	if err := store.Import(ctx, "/api/v1/import", &body); err != nil {
		return err
	}
	if err := store.Flush(ctx); err != nil {
		return err
	}
	address := store.URL + "/api/v1/export?" + url.Values{"match[]": {fmt.Sprintf(`flushed{writer=%q}`, writer)}}.Encode()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return err
	}
	response, err := store.HTTP.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if found := bytes.Count(text, []byte("\n")); err == nil && found != samples {
		return fmt.Errorf("writer %s finds %d of its %d samples", writer, found, samples)
	}
	return err
}
