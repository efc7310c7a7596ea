package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// patience is how long the page may take to show what is waited for.
const patience = 30 * time.Second

// shoot is what the flags say.
type shoot struct {
	url, token, dir, name string
	until                 string // condition in JavaScript
	device                string // to choose first, and to have tailed
	wrong                 bool   // show another token than the node's
	stop                  int    // process id of the node, which is stopped first
}

func main() {
	var s shoot
	flag.StringVar(&s.url, "url", "http://127.0.0.1:9090/", "the dashboard")
	file := flag.String("token-file", "data/admin.token", "file with the admin token")
	flag.StringVar(&s.dir, "out", "screenshots", "folder for the pictures")
	flag.StringVar(&s.name, "name", "dashboard", "what their names begin with")
	flag.StringVar(&s.until, "until", "document.body.dataset.view === 'live'", "condition in JavaScript to wait for")
	flag.StringVar(&s.device, "device", "", "device to choose, and to tail")
	flag.BoolVar(&s.wrong, "wrong-token", false, "show a token that the node does not know")
	flag.IntVar(&s.stop, "stop", 0, "process id of the node, which gets SIGTERM before the pictures are taken")
	flag.Parse()
	token, err := os.ReadFile(*file)
	if err == nil {
		s.token = strings.TrimSpace(string(token))
		err = s.run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "screenshots:", err)
		os.Exit(1)
	}
}

func (s *shoot) run() (err error) {
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		return err
	}
	profile, err := os.MkdirTemp("", "screenshots-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(profile)) }()
	allocator, cancelAllocator := chromedp.NewExecAllocator(context.Background(),
		chromedp.ExecPath(chromium), chromedp.UserDataDir(profile),
		chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun,
		chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.WSURLReadTimeout(patience))
	defer cancelAllocator()
	tab, cancelTab := chromedp.NewContext(allocator)
	defer cancelTab()
	defer func() { err = errors.Join(err, chromedp.Cancel(tab)) }()

	if err := chromedp.Do(tab, s.steps()...); err != nil {
		return err
	}
	if s.stop != 0 {
		if err := syscall.Kill(s.stop, syscall.SIGTERM); err != nil {
			return err
		}
		if err := chromedp.Do(tab, waitTrue(`document.body.dataset.view === "away"`)); err != nil {
			return err
		}
	}
	for _, width := range []int64{1400, 800, 360} {
		for _, scheme := range []string{"light", "dark"} {
			if err := s.take(tab, width, scheme); err != nil {
				return fmt.Errorf("%d px, %s: %w", width, scheme, err)
			}
		}
	}
	return nil
}

// steps lead to what is to be seen.
func (s *shoot) steps() []chromedp.Action[chromedp.Void] {
	if s.wrong {
		s.token = "not-the-token-of-this-node"
	}
	steps := []chromedp.Action[chromedp.Void]{
		chromedp.Navigate(s.url),
		waitTrue(`document.getElementById("login").open`),
		chromedp.SendKeys(chromedp.CSS("#token"), s.token+kb.Enter),
		waitTrue(s.until),
	}
	if s.device != "" {
		steps = append(steps,
			chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`[...document.querySelectorAll("#device-rows td")].find((c) => c.title === %q).click()`, s.device)),
			waitTrue(fmt.Sprintf(`document.getElementById("detail-name").textContent.endsWith(%q)`, "/ "+s.device)),
			chromedp.Evaluate[chromedp.Void](`document.getElementById("tail-toggle").click()`),
			waitTrue(`document.querySelectorAll("#tail li").length > 3`))
	}
	return steps
}

// take writes one picture, of the whole page.
func (s *shoot) take(tab context.Context, width int64, scheme string) error {
	var picture []byte
	err := chromedp.Do(tab,
		chromedp.EmulateViewport(width, 900),
		chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
			_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
				Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
			})
			return err
		}),
		waitTrue(fmt.Sprintf("(scrollTo(0, 0), innerWidth === %d)", width)),
		chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
			yes := true
			r, err := cdp.Call(ctx, t, page.CaptureScreenshot, page.CaptureScreenshotParams{CaptureBeyondViewport: &yes})
			picture = r.Data
			return err
		}))
	if err != nil {
		return err
	}
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(s.dir, fmt.Sprintf("%s-%d-%s.png", s.name, width, scheme)), picture, 0o600)
}

func waitTrue(condition string) chromedp.Action[chromedp.Void] {
	return chromedp.Poll[chromedp.Void](condition, chromedp.WithPollingTimeout(patience))
}
