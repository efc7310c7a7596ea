package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"edgeloop/sink"
)

var (
	fenced = regexp.MustCompile("(?s)```(\\w+)\n(.*?)```")
	local  = regexp.MustCompile(`127\.0\.0\.1:\d+`)
)

// Each recipe of docs/recipes.md has a sink that the node takes, and a configuration of the other
// program that can be read, where it is YAML, and has the address to which the sink leads.
func TestRecipes(t *testing.T) {
	text, err := os.ReadFile("../../docs/recipes.md")
	if err != nil {
		t.Fatal(err)
	}
	sections := strings.Split(string(text), "\n## ")[1:]
	if len(sections) != 3 {
		t.Errorf("there are %d recipes", len(sections))
	}
	for _, section := range sections {
		title, _, _ := strings.Cut(section, "\n")
		blocks := fenced.FindAllStringSubmatch(section, -1)
		if len(blocks) != 2 {
			t.Errorf("%s: %d blocks", title, len(blocks))
			continue
		}
		var node struct{ Sinks []any }
		err := yaml.Unmarshal([]byte(blocks[0][2]), &node)
		if err == nil {
			_, err = sink.Parse(node.Sinks, sinkKinds)
		}
		if err != nil || len(node.Sinks) != 1 {
			t.Errorf("%s: the node's sink: %v", title, err)
		}
		var other map[string]any
		if blocks[1][1] == "yaml" {
			if err := yaml.Unmarshal([]byte(blocks[1][2]), &other); err != nil {
				t.Errorf("%s: %v", title, err)
			}
		}
		if to := local.FindString(blocks[0][2]); to == "" || !strings.Contains(blocks[1][2], to) {
			t.Errorf("%s: the sink leads to %q, which is not in the other configuration", title, to)
		}
	}
}
