package e2e_test

import (
	"context"
	"fmt"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// faintTexts lists texts of the page that have less contrast to their ground than WCAG
// 2.2 asks for (1.4.3, level AA: 4.5 to 1), and fields without a name.
const faintTexts = `(() => {
	const luminance = (c) => {
		const [r, g, b] = c.map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
		return 0.2126 * r + 0.7152 * g + 0.0722 * b;
	};
	const parse = (text) => text.startsWith("rgb") ? text.match(/[\d.]+/g).map(Number) : null;
	const ground = (e) => {
		for (; e; e = e.parentElement) {
			const c = parse(getComputedStyle(e).backgroundColor);
			if (c && (c.length < 4 || c[3] === 1)) return c.slice(0, 3);
		}
		return [255, 255, 255];
	};
	const out = [];
	for (const e of document.querySelectorAll("header *, main *")) {
		const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
		if (e.matches("input:not([aria-label]):not([type=checkbox]), select:not([aria-label])")) out.push("no name: " + e.id);
		if (!own || !e.checkVisibility() || e.matches(":disabled, .unseen")) continue;
		const [a, b] = [parse(getComputedStyle(e).color).slice(0, 3), ground(e)].map(luminance);
		const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
		if (ratio < 4.5) out.push(ratio.toFixed(2) + ": " + (e.id || e.tagName) + " " + e.textContent.slice(0, 40));
	}
	return out;
})()`

// legible fails for text that is too faint.
func legible(d *dashboard, state string) {
	d.t.Helper()
	for _, text := range ask[[]string](d, faintTexts) {
		d.t.Errorf("%s: %s", state, text)
	}
}

// emulateScheme has the system prefer light or dark.
func emulateScheme(scheme string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
		})
		if err != nil {
			return fmt.Errorf("prefer %s: %w", scheme, err)
		}
		return nil
	})
}
