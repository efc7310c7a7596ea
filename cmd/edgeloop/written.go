package main

import (
	"reflect"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// A name may look like a number: of 007 and of 1e3 YAML makes 7 and 1000, which are other
// names. For flags that are text, numbers are taken as they are written.

// writtenNumbers are the numbers of a configuration file by their keys, one or those of a
// list, as they are written; "" for what is no number.
func writtenNumbers(text []byte) map[string][]string {
	file, err := parser.ParseBytes(text, 0)
	if err != nil || len(file.Docs) == 0 {
		return nil // who decodes it says what is wrong
	}
	top, ok := file.Docs[0].Body.(ast.MapNode)
	if !ok {
		return nil
	}
	all := make(map[string][]string)
	for pair := top.MapRange(); pair.Next(); {
		name := pair.Key().GetToken()
		if name == nil {
			continue
		}
		key := strings.ReplaceAll(name.Value, "_", "-")
		items := []ast.Node{pair.Value()}
		if list, ok := pair.Value().(*ast.SequenceNode); ok {
			items = list.Values
		}
		for _, item := range items {
			number := ""
			switch item.(type) {
			case *ast.IntegerNode, *ast.FloatNode:
				number = item.GetToken().Value
			}
			all[key] = append(all[key], number)
		}
	}
	return all
}

// asWritten is the value of a key for a flag of this type.
func (f *fileResolver) asWritten(key string, flag reflect.Type, value any) any {
	list, isList := value.([]any)
	if isList && flag.Kind() == reflect.Slice {
		flag = flag.Elem()
	}
	written := f.written[key]
	if flag.Kind() == reflect.Slice && flag.Elem().Kind() == reflect.String { // one for a list of one
		flag = flag.Elem()
	}
	switch {
	case flag.Kind() != reflect.String:
		return value
	case !isList && len(written) == 1 && written[0] != "":
		return written[0]
	case isList && len(written) == len(list):
		out := make([]any, len(list))
		for i := range list {
			if out[i] = list[i]; written[i] != "" {
				out[i] = written[i]
			}
		}
		return out
	}
	return value
}
