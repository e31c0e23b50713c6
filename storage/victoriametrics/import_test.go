package victoriametrics_test

import (
	"errors"
	"io"
	"net/http"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/storage/victoriametrics"
)

func TestImport(t *testing.T) {
	status := http.StatusNoContent
	store := client(t, victoriametrics.Limits{}, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		if got := r.Method + " " + r.URL.Path + " " + string(body); got != "POST /api/v1/import/prometheus a{b=\"c\"} 1\n" {
			t.Errorf("asked %q", got)
		}
		w.WriteHeader(status)
	})
	assert.NilError(t, store.Import(t.Context(), "a{b=\"c\"} 1\n"))
	status = http.StatusUnauthorized
	var refused *victoriametrics.StatusError
	assert.Assert(t, errors.As(store.Import(t.Context(), "a{b=\"c\"} 1\n"), &refused))
	assert.Equal(t, refused.Status, http.StatusUnauthorized)
}
