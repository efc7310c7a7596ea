// Manifests reads Kubernetes manifests as the API server would, every field by the
// types of the API: an unknown kind, an unknown field or a wrong type is an error. It
// needs no cluster, so it knows no defaults and no rules across fields.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes/scheme"
)

func main() {
	for _, path := range os.Args[1:] {
		if err := check(path); err != nil {
			fmt.Fprintf(os.Stderr, "manifests: %s: %v\n", path, err)
			os.Exit(1)
		}
	}
}

func check(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	strict := serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict).UniversalDeserializer()
	docs := utilyaml.NewDocumentDecoder(io.NopCloser(bytes.NewReader(text)))
	defer docs.Close()
	buf := make([]byte, len(text)+1)
	for i := 1; ; i++ {
		n, err := docs.Read(buf)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		_, kind, err := strict.Decode(buf[:n], nil, nil)
		if err != nil {
			return fmt.Errorf("document %d: %w", i, err)
		}
		fmt.Println(path, kind)
	}
}
