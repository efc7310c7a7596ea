package arch_test

import (
	"go/ast"
	"strings"
	"testing"
)

// A test that sleeps is slow on a fast machine and wrong on a slow one. It
// waits for a condition with a deadline (internal/testkit), or runs inside a
// synctest bubble, where the clock is not real and a sleep costs nothing. A
// fake that has to be slow says so with testkit.Delay.
func TestSource_NoSleepInTests(t *testing.T) {
	for _, s := range sources(t) {
		if s.path == "internal/testkit/delay.go" || !s.isTest() && !strings.HasPrefix(s.path, "internal/testkit/") && !strings.HasPrefix(s.path, "test/") {
			continue
		}
		bubbles := bubbleRanges(s)
		ast.Inspect(s.file, func(n ast.Node) bool {
			if c, ok := n.(*ast.CommClause); ok && sleep(c.Comm) != "" {
				bubbles = append(bubbles, c.Comm) // a deadline in a select is no pause
			}
			if what := sleep(n); what != "" && !inside(bubbles, n) {
				t.Errorf("%s:%d: %s outside a synctest bubble", s.path, s.line(n), what)
			}
			return true
		})
	}
}

// sleep recognises a real pause: time.Sleep, named or called, and a statement
// that only receives from time.After.
func sleep(n ast.Node) string {
	switch n := n.(type) {
	case *ast.SelectorExpr:
		if isSelector(n, "time", "Sleep") {
			return "time.Sleep"
		}
	case *ast.ExprStmt:
		recv, ok := n.X.(*ast.UnaryExpr)
		if !ok {
			return ""
		}
		if call, ok := recv.X.(*ast.CallExpr); ok && isSelector(call.Fun, "time", "After") {
			return "<-time.After"
		}
	}
	return ""
}

// bubbleRanges lists the functions of a file that run in a bubble: literals
// handed to synctest.Test, and functions of the file handed to it by name or
// called from inside such a literal.
func bubbleRanges(s *source) []ast.Node {
	var ranges []ast.Node
	named := map[string]bool{}
	ast.Inspect(s.file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || !isSelector(call.Fun, "synctest", "Test") || len(call.Args) != 2 {
			return true
		}
		switch f := call.Args[1].(type) {
		case *ast.FuncLit:
			ranges = append(ranges, f)
			noteCalls(f, named)
		case *ast.Ident:
			named[f.Name] = true
		}
		return true
	})
	for _, d := range s.file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && named[f.Name.Name] {
			ranges = append(ranges, f)
		}
	}
	return ranges
}

// noteCalls adds the names of functions and methods called inside f.
func noteCalls(f ast.Node, named map[string]bool) {
	ast.Inspect(f, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		switch fun := call.Fun.(type) {
		case *ast.Ident:
			named[fun.Name] = true
		case *ast.SelectorExpr:
			named[fun.Sel.Name] = true
		}
		return true
	})
}

func inside(ranges []ast.Node, n ast.Node) bool {
	for _, r := range ranges {
		if r.Pos() <= n.Pos() && n.End() <= r.End() {
			return true
		}
	}
	return false
}

func isSelector(e ast.Expr, pkg, name string) bool {
	sel, ok := e.(*ast.SelectorExpr)
	if !ok || sel.Sel.Name != name {
		return false
	}
	id, ok := sel.X.(*ast.Ident)
	return ok && id.Name == pkg
}
