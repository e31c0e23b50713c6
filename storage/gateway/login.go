package gateway

import (
	"context"
	"fmt"
	"io"
	"net/http"
)

// Accepts asks for a page behind a store's log-in. It reports true where the store answers with it, false where the
// store refuses the log-in, and an error where nobody answers or the answer says neither: a store that is starting.
func Accepts(ctx context.Context, client *http.Client, url, user, password string) (bool, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return false, err
	}
	request.SetBasicAuth(user, password)
	response, err := client.Do(request)
	if err != nil {
		return false, err
	}
	defer response.Body.Close()
	// What is not read closes the connection, and the next question pays for a new one.
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 1<<20))
	switch response.StatusCode {
	case http.StatusOK:
		return true, nil
	case http.StatusUnauthorized, http.StatusForbidden:
		return false, nil
	default:
		return false, fmt.Errorf("%s answered %d", request.URL.Path, response.StatusCode)
	}
}
