package stack_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/certs"
	"github.com/docker-telemetry/docker-telemetry/stack"
	"github.com/docker-telemetry/docker-telemetry/stack/stacktest"
)

func certificate(t *testing.T) stack.Certificate {
	t.Helper()
	ca, err := certs.NewAuthority("test", time.Now)
	assert.NilError(t, err)
	leaf, err := certs.Issue(ca, certs.Request{Hosts: []string{"localhost"}})
	assert.NilError(t, err)
	return stack.Certificate{Chain: leaf.Chain(), Key: leaf.Key}
}

// serving is an engine whose gateway serves a certificate. local publishes its port on this machine.
func serving(t *testing.T, local bool) (*stacktest.Engine, stack.Certificate) {
	t.Helper()
	first := certificate(t)
	settings := testSettings()
	settings.Secrets["gateway_cert"], settings.Secrets["gateway_key"] = string(first.Chain), string(first.Key)
	engine := stacktest.New()
	if local {
		listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // nothing to end
		assert.NilError(t, err)
		settings.Port = listener.Addr().(*net.TCPAddr).Port
		assert.NilError(t, listener.Close())
		engine.Address, engine.Gateway = "tcp://127.0.0.1:2375", http.NotFoundHandler()
		t.Cleanup(func() { assert.NilError(t, engine.Close()) })
	}
	assert.NilError(t, engine.Manager().Up(t.Context(), load(t, settings), everything()))
	engine.Forget()
	return engine, first
}

func served(t *testing.T, engine *stacktest.Engine) string {
	t.Helper()
	cert, err := engine.Manager().ServedCertificate(t.Context(), "telemetry")
	assert.NilError(t, err)
	return cert.SerialNumber.Text(16)
}

func serial(t *testing.T, c stack.Certificate) string {
	t.Helper()
	info, err := certs.Inspect(certs.Pair{Cert: c.Chain})
	assert.NilError(t, err)
	return info.Serial
}

// clean requires that no copy of a key is left in the gateway.
func clean(t *testing.T, engine *stacktest.Engine) {
	t.Helper()
	assert.DeepEqual(t, engine.Secrets("telemetry-gateway-1"), []string{"gateway_cert", "gateway_key"})
}

func TestRotateCertificate(t *testing.T) {
	for name, local := range map[string]bool{"this machine's port": true, "through the engine": false} {
		t.Run(name, func(t *testing.T) {
			engine, first := serving(t, local)
			assert.Equal(t, served(t, engine), serial(t, first))
			second := certificate(t)
			rotated, err := engine.Manager().RotateCertificate(t.Context(), "telemetry", second)
			assert.NilError(t, err)
			assert.Assert(t, rotated)
			assert.Equal(t, served(t, engine), serial(t, second))
			clean(t, engine)
			assert.DeepEqual(t, engine.Changes(), []string{"copy to container telemetry-gateway-1"})

			rotated, err = engine.Manager().RotateCertificate(t.Context(), "telemetry", second)
			assert.NilError(t, err)
			assert.Assert(t, !rotated, "the same again")
			assert.Equal(t, len(engine.Changes()), 1)
		})
	}
}

func TestRotationRollsBack(t *testing.T) {
	engine, first := serving(t, false)
	engine.RefusesReload = true
	_, err := engine.Manager().RotateCertificate(t.Context(), "telemetry", certificate(t))
	assert.ErrorContains(t, err, "the old one is served on")
	assert.ErrorContains(t, err, "the test refuses")
	assert.Equal(t, served(t, engine), serial(t, first))
	clean(t, engine)
	// What is on the disk counts at the next start.
	assert.NilError(t, engine.Manager().Restart(t.Context(), "telemetry", []string{stack.Gateway}, time.Minute))
	assert.Equal(t, served(t, engine), serial(t, first))
}

func TestRotationTouchesNothingForABrokenPair(t *testing.T) {
	engine, first := serving(t, false)
	one, other := certificate(t), certificate(t)
	for name, broken := range map[string]stack.Certificate{
		"key of another": {Chain: one.Chain, Key: other.Key},
		"half a file":    {Chain: one.Chain[:50], Key: one.Key},
		"nothing":        {},
	} {
		_, err := engine.Manager().RotateCertificate(t.Context(), "telemetry", broken)
		assert.ErrorContains(t, err, "the new certificate cannot be used", name)
		assert.ErrorContains(t, engine.Manager().PlaceCertificate(t.Context(), "telemetry", broken), "cannot be used", name)
	}
	assert.Equal(t, len(engine.Changes()), 0)
	assert.Equal(t, served(t, engine), serial(t, first))
}

// Ctrl-C in the middle: the caller hears of it, and the gateway is as it was.
func TestInterruptedRotation(t *testing.T) {
	engine, first := serving(t, false)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	engine.Before = func(_ context.Context, change string) {
		if strings.HasPrefix(change, "copy to") {
			cancel()
		}
	}
	_, err := engine.Manager().RotateCertificate(ctx, "telemetry", certificate(t))
	assert.Assert(t, errors.Is(err, context.Canceled), err)
	engine.Before = nil
	assert.Equal(t, served(t, engine), serial(t, first))
	clean(t, engine)
}

func TestStoppedGatewayServesItFromItsNextStart(t *testing.T) {
	engine, _ := serving(t, false)
	manager := engine.Manager()
	assert.NilError(t, manager.Stop(t.Context(), "telemetry", nil))
	second := certificate(t)
	_, err := manager.RotateCertificate(t.Context(), "telemetry", second)
	assert.Assert(t, errors.Is(err, stack.ErrNoGateway), err)
	assert.NilError(t, manager.PlaceCertificate(t.Context(), "telemetry", second))
	assert.NilError(t, manager.Start(t.Context(), "telemetry", nil, time.Minute))
	assert.Equal(t, served(t, engine), serial(t, second))
}

// A component that says it reads its files again gets each new pair, running or not, and nobody else does.
func TestOthersThatServeItGetIt(t *testing.T) {
	project := load(t, testSettings())
	project.Services["node-exporter"].Labels[stack.CertificateLabel] = "reloads"
	first := certificate(t)
	for name, content := range map[string][]byte{"gateway_cert": first.Chain, "gateway_key": first.Key} {
		secret := project.Secrets[name]
		secret.Content = string(content)
		project.Secrets[name] = secret
	}
	engine := stacktest.New()
	manager := engine.Manager()
	assert.NilError(t, manager.Up(t.Context(), project, everything()))

	_, err := manager.RotateCertificate(t.Context(), "telemetry", certificate(t))
	assert.NilError(t, err)
	assert.DeepEqual(t, engine.Secrets("telemetry-node-exporter-1"), []string{"gateway_cert", "gateway_key"})
	assert.DeepEqual(t, engine.Secrets("telemetry-docker-proxy-1"), []string(nil))

	assert.NilError(t, manager.Stop(t.Context(), "telemetry", nil))
	engine.Forget()
	assert.NilError(t, manager.PlaceCertificate(t.Context(), "telemetry", certificate(t)))
	assert.DeepEqual(t, engine.Changes(), []string{"copy to container telemetry-gateway-1", "copy to container telemetry-node-exporter-1"})
}

func TestPlaceCertificateLeavesARunningGatewayAlone(t *testing.T) {
	engine, first := serving(t, false)
	assert.NilError(t, engine.Manager().PlaceCertificate(t.Context(), "telemetry", certificate(t)))
	assert.NilError(t, engine.Manager().PlaceCertificate(t.Context(), "absent", certificate(t)))
	assert.Equal(t, len(engine.Changes()), 0)
	assert.Equal(t, served(t, engine), serial(t, first))
	assert.Assert(t, slices.Contains(engine.Containers(), "telemetry-gateway-1 running"))
}
