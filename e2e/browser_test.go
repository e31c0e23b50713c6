//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/dom"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"gotest.tools/v3/assert"
)

// A browser that knows our CA must show the landing page without a warning: with and without JavaScript, light and dark,
// narrow and wide. What it looked like is kept as pictures.
func TestBrowser(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.up("--no-verify")
	t.Run("accepts the certificate with our CA alone", func(t *testing.T) { browserChecksCA(t, e) })
	t.Run("shows the landing page", func(t *testing.T) { showsLandingPage(t, e) })
	t.Run("shows a component that is gone", func(t *testing.T) { showsMissingComponent(t, e) })
}

// browser is a Chromium with a home of its own.
type browser struct {
	ctx context.Context
	mu  sync.Mutex
	// complaints are exceptions, errors of the console and violations of the page's own policy.
	complaints []string
}

// openBrowser starts Chromium; with a CA file it trusts that CA, as a person does who imported it.
func openBrowser(t *testing.T, ca string) *browser {
	t.Helper()
	home := t.TempDir()
	if ca != "" {
		store := filepath.Join(home, ".pki", "nssdb")
		assert.NilError(t, os.MkdirAll(store, 0o700))
		for _, args := range [][]string{{"-N", "--empty-password"}, {"-A", "-t", "C,,", "-n", "docker telemetry", "-i", ca}} {
			out, err := exec.CommandContext(t.Context(), "certutil", append([]string{"-d", "sql:" + store}, args...)...).CombinedOutput()
			assert.NilError(t, err, "certutil of libnss3-tools: %s", out)
		}
	}
	options := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(chromium(t)), chromedp.UserDataDir(t.TempDir()), chromedp.Env("HOME=" + home), chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.NoFirstRun, chromedp.WSURLReadTimeout(time.Minute),
	}
	for _, flag := range []string{"disable-quic", "disable-background-networking", "disable-component-update", "disable-sync", "hide-scrollbars", "disable-dev-shm-usage"} {
		options = append(options, chromedp.Flag(flag, true))
	}
	allocated, end := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(end)
	ctx, endTab := chromedp.NewContext(allocated)
	t.Cleanup(endTab)
	b := &browser{ctx: ctx}
	// The first call starts the browser, so it must not carry a deadline.
	assert.NilError(t, chromedp.Listen(ctx, b.listen))
	return b
}

// chromium is the browser's program, whose name differs between distributions.
func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatal("the scenario needs Chromium: apt-get install chromium libnss3-tools")
	return ""
}

func (b *browser) listen(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch event := event.(type) {
	case *runtime.EventExceptionThrown:
		b.complaints = append(b.complaints, event.ExceptionDetails.Text)
	case *log.EventEntryAdded:
		if event.Entry.Level == log.EntryLevelError && !strings.Contains(event.Entry.Text, networkChanged) {
			b.complaints = append(b.complaints, event.Entry.Text)
		}
	}
}

// networkChanged is how Chromium ends a request when a network comes or goes on this machine: scenarios that run beside
// this one make some.
const networkChanged = "ERR_NETWORK_CHANGED"

// settled repeats what that, or a node that was replaced while it was looked at, interrupted.
func (b *browser) settled(t *testing.T, look func() error) {
	t.Helper()
	eventually(t, 30*time.Second, look)
}

// run does some actions within a minute.
func (b *browser) run(steps ...chromedp.Action[chromedp.Void]) error {
	ctx, cancel := context.WithTimeout(b.ctx, time.Minute)
	defer cancel()
	return chromedp.Do(ctx, steps...)
}

func (e *env) startPage() string { return fmt.Sprintf("https://localhost:%d/", e.port) }

func (e *env) caFile() string {
	return filepath.Join(e.home, "state", "docker-telemetry", "ca", "ca.crt")
}

func browserChecksCA(t *testing.T, e *env) {
	stranger, friend := openBrowser(t, ""), openBrowser(t, e.caFile())
	var refused error
	friend.settled(t, func() error { return friend.run(chromedp.Navigate(e.startPage())) })
	stranger.settled(t, func() error {
		refused = stranger.run(chromedp.Navigate(e.startPage()))
		if refused != nil && strings.Contains(refused.Error(), networkChanged) {
			return refused
		}
		return nil
	})
	assert.ErrorContains(t, refused, "ERR_CERT_AUTHORITY_INVALID")
}

// look is one way to look at the page.
type look struct {
	scripts, dark bool
	width         int64
}

func (l look) String() string {
	scheme, scripts := "light", "no-js"
	if l.dark {
		scheme = "dark"
	}
	if l.scripts {
		scripts = "js"
	}
	return fmt.Sprintf("%s-%s-%d", scheme, scripts, l.width)
}

// at opens a page in this way.
func (l look) at(address string) chromedp.Action[chromedp.Void] {
	scheme := "light"
	if l.dark {
		scheme = "dark"
	}
	return chromedp.Steps(
		chromedp.EmulateViewport(l.width, 800),
		chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
			_, err := cdp.Call(ctx, t, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !l.scripts})
			return err
		}),
		chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
			features := []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}
			_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: features})
			return err
		}),
		chromedp.Navigate(address),
	)
}

func showsLandingPage(t *testing.T, e *env) {
	// A gateway that started before the others looks for their names again after 2 s, and up --no-verify does not wait for it.
	eventually(t, 15*time.Second, func() error {
		response, err := e.newClient().Get(e.startPage())
		if err != nil {
			return err
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if healthy := strings.Count(string(body), ">● healthy<"); err == nil && healthy != 4 {
			err = fmt.Errorf("%d of 4 are healthy", healthy)
		}
		return err
	})
	b := openBrowser(t, e.caFile())
	for _, width := range []int64{320, 768, 1280, 1920} {
		for _, dark := range []bool{false, true} {
			for _, scripts := range []bool{false, true} {
				looksRight(t, e, b, look{scripts: scripts, dark: dark, width: width})
			}
		}
	}
	assert.DeepEqual(t, b.complaints, []string(nil))
}

func looksRight(t *testing.T, e *env, b *browser, l look) {
	t.Helper()
	var html string
	var width float64
	var cards [][2]float64
	var picture []byte
	b.settled(t, func() error {
		return b.run(l.at(e.startPage()), pageHTML(&html), contentWidth(&width), cardCorners(&cards), screenshot(&picture))
	})
	assert.NilError(t, os.WriteFile(e.artifact("landing-"+l.String()+".png"), picture, 0o644))

	assert.Equal(t, strings.Count(html, ">● healthy<"), 4, "%s: %s", l, html)
	for _, want := range []string{
		`<a href="/grafana/">Grafana</a>`, `<a href="/openobserve/">OpenObserve</a>`, `<a href="/victoriametrics/vmui/">VictoriaMetrics</a>`, "<h1>" + e.name + "</h1>",
		"docker telemetry --name " + e.name + " credentials show", `lang="en"`,
	} {
		assert.Assert(t, strings.Contains(html, want), "%s has no %q: %s", l, want, html)
	}
	assert.Assert(t, !strings.Contains(html, "checking"), l)
	assert.Assert(t, width <= float64(l.width), "%s is %v wide", l, width)

	columns, rows := distinct(cards, 0), distinct(cards, 1)
	wantColumns := 2
	if l.width < 768 {
		wantColumns = 1
	}
	assert.Equal(t, fmt.Sprint(columns, rows), fmt.Sprint(wantColumns, 4/wantColumns), "%s: cards at %v", l, cards)

	background := color.RGBA{0xf6, 0xf7, 0xf9, 0xff}
	if l.dark {
		background = color.RGBA{0x0f, 0x13, 0x18, 0xff}
	}
	drawn, err := png.Decode(bytes.NewReader(picture))
	assert.NilError(t, err)
	assert.Equal(t, color.RGBAModel.Convert(drawn.At(2, 2)), background, l)
	assert.Assert(t, drawn.Bounds().In(image.Rect(0, 0, int(l.width), 4000)), "%s: %v", l, drawn.Bounds())
}

// pageHTML reads the page through the debugger: with JavaScript off, a script of ours would not run either.
func pageHTML(html *string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		document, err := cdp.Call(ctx, t, dom.GetDocument, dom.GetDocumentParams{})
		if err != nil {
			return err
		}
		found, err := cdp.Call(ctx, t, dom.GetOuterHTML, dom.GetOuterHTMLParams{NodeID: document.Root.NodeID})
		*html = found.OuterHTML
		return err
	})
}

func contentWidth(width *float64) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		metrics, err := cdp.Call(ctx, t, page.GetLayoutMetrics, cdp.Empty{})
		if err == nil {
			*width = metrics.CSSContentSize.Width
		}
		return err
	})
}

// cardCorners are the left and the top edge of each card.
func cardCorners(corners *[][2]float64) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		document, err := cdp.Call(ctx, t, dom.GetDocument, dom.GetDocumentParams{})
		if err != nil {
			return err
		}
		cards, err := cdp.Call(ctx, t, dom.QuerySelectorAll, dom.QuerySelectorAllParams{NodeID: document.Root.NodeID, Selector: "li"})
		if err != nil {
			return err
		}
		*corners = nil
		for _, card := range cards.NodeIDs {
			box, err := cdp.Call(ctx, t, dom.GetBoxModel, dom.GetBoxModelParams{NodeID: card})
			if err != nil {
				return err
			}
			*corners = append(*corners, [2]float64{box.Model.Border[0], box.Model.Border[1]})
		}
		return nil
	})
}

// screenshot is the whole page as PNG.
func screenshot(picture *[]byte) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) (err error) {
		*picture, err = chromedp.FullScreenshot(100)(ctx, t)
		return err
	})
}

func distinct(corners [][2]float64, axis int) int {
	seen := map[float64]bool{}
	for _, corner := range corners {
		seen[corner[axis]] = true
	}
	return len(seen)
}

// showsMissingComponent stops Grafana: an open page must tell by itself, and one without JavaScript when it is loaded.
func showsMissingComponent(t *testing.T, e *env) {
	open, plain := openBrowser(t, e.caFile()), openBrowser(t, e.caFile())
	reload := look{width: 1280}.at(e.startPage())
	open.settled(t, func() error { return open.run(look{scripts: true, width: 1280}.at(e.startPage())) })

	e.docker("stop", e.name+"-grafana-1")
	eventually(t, 30*time.Second, func() error { return open.shows(3, 1) })
	eventually(t, 30*time.Second, func() error { return plain.shows(3, 1, reload) })
	var picture []byte
	assert.NilError(t, plain.run(screenshot(&picture)))
	assert.NilError(t, os.WriteFile(e.artifact("landing-grafana-stopped.png"), picture, 0o644))

	e.docker("start", e.name+"-grafana-1")
	eventually(t, time.Minute, func() error { return open.shows(4, 0) })
	eventually(t, time.Minute, func() error { return plain.shows(4, 0, reload) })
}

// shows says, as an error, that the page does not show so many components as healthy and as missing.
func (b *browser) shows(healthy, missing int, before ...chromedp.Action[chromedp.Void]) error {
	var html string
	if err := b.run(append(before, pageHTML(&html))...); err != nil {
		return err
	}
	if strings.Count(html, ">● healthy<") != healthy || strings.Count(html, ">▲ no answer<") != missing {
		return fmt.Errorf("not %d healthy and %d missing: %s", healthy, missing, html)
	}
	return nil
}
