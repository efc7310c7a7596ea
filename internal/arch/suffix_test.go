package arch_test

import (
	"cmp"
	"go/ast"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// callbacks lists the methods that an interface of eventloop or of gnet names and the loop
// calls: Acceptor, Receiver, Greeting, gnet.EventHandler.
var callbacks = []string{
	"Accept", "Receive", "Flush", "Woken", "Quiet", "Closed",
	"Step", "Seal", "Goodbye", "OnOpen", "OnTraffic", "OnClose",
}

// lawful lists functions that need no suffix, and why.
var lawful = map[string]string{
	"backbone/custody.Keeper.decide": "Open calls it before the Keeper is shared",
	"backbone/reader.Open":           "the reader is not shared yet",
	"bench.asking.run":               "its goroutines have not begun, or have ended",
	"bench.asking.judge":             "the goroutines of run have ended",
	"bench/fault/soak.soak.result":   "the nodes' goroutines have ended",
	"devicemgr.remembered.init":      "the Manager is not shared yet",
	"eventloop.lobby.init":           "the Server is not shared yet",
	"eventloop.Conn.listener":        "via is set before anybody else knows of the Conn",
	"eventloop.newLoop":              "the loop runs the closures made here",
	"eventloop.loop.sweep":           "the loop has ended",
	"examples/telemetry.device.say":  "Receive calls it",
	"gateway.Gateway.handle":         "the handler of the lanes",
	"gateway.Gateway.panicked":       "the worker calls it, with the lane still its own",
	"sink/mqtt.gathered.Write":       "the library calls it between Lock and Unlock",
}

// function is a function or method of the module, as its syntax shows it.
type function struct {
	source *source
	decl   *ast.FuncDecl
}

// recvName is the package and the type of the receiver; "" for a function.
func (f *function) recvName() string {
	if f.decl.Recv == nil {
		return ""
	}
	t := f.decl.Recv.List[0].Type
	if star, ok := t.(*ast.StarExpr); ok {
		t = star.X
	}
	if generic, ok := t.(*ast.IndexExpr); ok {
		t = generic.X
	}
	id, ok := t.(*ast.Ident)
	if !ok {
		return ""
	}
	return filepath.Dir(f.source.path) + "." + id.Name
}

func (f *function) name() string {
	return cmp.Or(f.recvName(), filepath.Dir(f.source.path)) + "." + f.decl.Name.Name
}

func (f *function) isCallback() bool {
	return f.decl.Recv != nil && slices.Contains(callbacks, f.decl.Name.Name)
}

// locks says whether f takes a lock somewhere.
func (f *function) locks() (yes bool) {
	ast.Inspect(f.decl.Body, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok && (s.Sel.Name == "Lock" || s.Sel.Name == "RLock" || s.Sel.Name == "TryLock") {
			yes = true
		}
		return !yes
	})
	return yes
}

// touched lists the fields of the receiver, out of fields, that f touches.
func (f *function) touched(fields map[string]bool) (names []string) {
	if f.decl.Recv == nil || len(f.decl.Recv.List[0].Names) == 0 {
		return nil
	}
	self := f.decl.Recv.List[0].Names[0].Name
	ast.Inspect(f.decl.Body, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok && fields[s.Sel.Name] {
			if x, ok := s.X.(*ast.Ident); ok && x.Name == self {
				names = append(names, s.Sel.Name)
			}
		}
		return true
	})
	return names
}

// calls lists the functions with the suffix that f calls.
func (f *function) calls(suffix string) (names []string) {
	ast.Inspect(f.decl.Body, func(n ast.Node) bool {
		c, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		var name string
		switch fun := c.Fun.(type) {
		case *ast.SelectorExpr:
			name = fun.Sel.Name
		case *ast.Ident:
			name = fun.Name
		}
		if strings.HasSuffix(name, suffix) {
			names = append(names, name)
		}
		return true
	})
	return names
}

// Suffixes are law. What touches fields that the loop, or a lane, owns ends in OnLoop, or
// OnLane, and so does who calls it; what touches fields that mu guards ends in Locked, and
// so does who calls it, unless that takes a lock.
func TestSuffix_Laws(t *testing.T) {
	functions := functions(t)
	known := map[string]bool{}
	for _, f := range functions {
		known[f.name()] = true
	}
	for name := range lawful {
		if !known[name] {
			t.Errorf("the list of exceptions names %s, which does not exist", name)
		}
	}
	for _, law := range []struct {
		block, suffix string
		holds         func(f *function) bool // without the suffix
	}{
		{"Guarded by mu", "Locked", (*function).locks},
		{"Owned by the loop goroutine", "OnLoop", (*function).isCallback},
		{"Owned by the device's lane", "OnLane", func(*function) bool { return false }},
	} {
		fields := fieldsUnder(t, law.block)
		if len(fields) == 0 {
			t.Errorf("no struct has a block %q", law.block)
		}
		for _, f := range functions {
			if strings.HasSuffix(f.decl.Name.Name, law.suffix) || lawful[f.name()] != "" || law.holds(f) {
				continue
			}
			if got := f.touched(fields[f.recvName()]); len(got) > 0 {
				t.Errorf("%s touches %v: end its name in %s", f.name(), got, law.suffix)
			}
			if got := f.calls(law.suffix); len(got) > 0 {
				t.Errorf("%s calls %v: end its name in %s", f.name(), got, law.suffix)
			}
		}
	}
}

// functions lists the functions of the module but those of tests.
func functions(t *testing.T) (all []*function) {
	t.Helper()
	for _, s := range sources(t) {
		if s.isTest() {
			continue
		}
		for _, d := range s.file.Decls {
			if d, ok := d.(*ast.FuncDecl); ok && d.Body != nil {
				all = append(all, &function{s, d})
			}
		}
	}
	return all
}

// fieldsUnder returns the fields below a label of ownership that begins with block, by
// package and struct.
func fieldsUnder(t *testing.T, block string) map[string]map[string]bool {
	t.Helper()
	fields := map[string]map[string]bool{}
	for _, s := range sources(t) {
		if s.isTest() {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if ts, ok := n.(*ast.TypeSpec); ok {
				if st, ok := ts.Type.(*ast.StructType); ok {
					if in := s.fieldsUnder(st, block); len(in) > 0 {
						fields[filepath.Dir(s.path)+"."+ts.Name.Name] = in
					}
				}
			}
			return true
		})
	}
	return fields
}

func (s *source) fieldsUnder(st *ast.StructType, block string) map[string]bool {
	names := map[string]bool{}
	for _, f := range st.Fields.List {
		if strings.HasPrefix(s.labelOf(st, f), block) {
			for _, n := range f.Names {
				if n.Name != "mu" {
					names[n.Name] = true
				}
			}
		}
	}
	return names
}

// labelOf is the last comment before field f that is a label of ownership.
func (s *source) labelOf(st *ast.StructType, f *ast.Field) (label string) {
	for _, g := range s.file.Comments {
		if g.Pos() < st.Pos() || g.Pos() > f.Pos() {
			continue
		}
		first, _, _ := strings.Cut(g.Text(), "\n")
		for _, start := range []string{"Immutable", "Owned by", "Guarded by", "Atomic", "Safe for", "Set by", "Each"} {
			if strings.HasPrefix(first, start) && s.line(g) != s.line(f) {
				label = first
			}
		}
	}
	return label
}
