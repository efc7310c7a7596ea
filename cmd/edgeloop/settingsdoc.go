package main

import (
	"fmt"
	"io"
	"reflect"
	"strings"

	"github.com/alecthomas/kong"

	"edgeloop/admin/api"
	"edgeloop/internal/units"
)

// rangeText is what a setting may be, as it can be given; "" where the table does
// not say.
func (r *setting) rangeText(kind api.LimitKind) string {
	if !r.bounded() {
		return ""
	}
	text := func(n int64) string {
		if kind == api.LimitBytes {
			return units.SizeText(n)
		}
		return fmt.Sprint(kind.JSONValue(n))
	}
	least := text(r.least)
	if r.leastBy != nil {
		least = text(r.leastBy(&serveCmd{MaxMessage: 1})) + " times --max-message"
	}
	return least + " to " + text(r.most)
}

// changesText is how a setting changes.
func (r *setting) changesText() string {
	switch {
	case r.live == nil:
		return "restart"
	case r.limit:
		return "reload, API"
	}
	return "reload"
}

// describe adds to the help of serve's flags what the table knows of them.
func describe(model *kong.Application) {
	kinds := new(serveCmd).kinds()
	for _, command := range model.Children {
		if command.Name != "serve" {
			continue
		}
		for _, flag := range command.Flags {
			r := settingOf(flag.Name)
			if r == nil {
				continue
			}
			var notes []string
			if text := r.rangeText(kinds[r.name]); text != "" {
				notes = append(notes, text)
			}
			if r.live != nil {
				notes = append(notes, "changes with a "+strings.ReplaceAll(r.changesText(), ", ", " or the "))
			}
			if len(notes) > 0 {
				flag.Help += " (" + strings.Join(notes, "; ") + ")"
			}
		}
	}
}

// writeSettings writes docs/settings.md.
func writeSettings(w io.Writer) {
	fmt.Fprint(w, `# Settings

Each is a flag of `+"`edgeloop serve`"+`, an environment variable (`+"`EDGELOOP_`"+` and the name in
capitals, with `+"`_`"+`), and a key of the configuration file. What changes with a reload
changes on `+"`SIGHUP`"+` and `+"`POST /v1/reload`"+`; what the API changes is under `+"`/v1/limits`"+`.
Of a setting that names a file this is about the name: the node reads the files of keys, tokens,
TLS and networks again with a reload, and most of them by itself ([how](operations.md#reload-and-rotate)).

This page is made from the table in `+"`cmd/edgeloop/settings.go`"+`:
`+"`go test ./cmd/edgeloop -run TestSettings_Document -update`"+`.

| name | default | range | changes with | what |
|---|---|---|---|---|
`)
	kinds, tags := new(serveCmd).kinds(), make(map[string]reflect.StructTag)
	new(serveCmd).flags(func(name string, field reflect.StructField, _ reflect.Value) { tags[name] = field.Tag })
	for i := range table {
		r, tag := &table[i], tags[table[i].name]
		allowed := r.rangeText(kinds[r.name])
		if words := tag.Get("enum"); words != "" {
			allowed = strings.ReplaceAll(words, ",", ", ")
		}
		fmt.Fprintf(w, "| `--%s` | %s | %s | %s | %s |\n", r.name, strings.ReplaceAll(tag.Get("default"), "${data_dir}", dataDir), allowed, r.changesText(), tag.Get("help"))
	}
	fmt.Fprint(w, `
These keys, lists and maps, are in the configuration file alone:

| key | value | changes with | what |
|---|---|---|---|
| `+"`sinks`"+` | list | reload | [where records go](sinks.md) |
| `+"`commands`"+` | list | reload | [from where commands come](sinks.md#and-back-commands) |
| `+"`presence`"+` | list | restart | [where it is kept who is connected](sinks.md#who-is-connected-presence) |
| `+"`tenants`"+` | map by name | reload, API | [quotas](operations.md#quotas-of-tenants) |
`)
}
