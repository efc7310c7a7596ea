package admin_test

import (
	"crypto/tls"
	"errors"
	"testing"
	"time"

	"edgeloop/admin"
)

func TestNew_Listen(t *testing.T) {
	f := newFakes(t)
	for name, c := range map[string]struct {
		cfg     admin.Config
		refused bool
	}{
		"nothing named":           {admin.Config{}, false},
		"loopback":                {admin.Config{Listen: "127.0.0.1:0"}, false},
		"another loopback":        {admin.Config{Listen: "127.8.9.1:0"}, false},
		"IPv6 loopback":           {admin.Config{Listen: "[::1]:0"}, false},
		"localhost":               {admin.Config{Listen: "localhost:0"}, false},
		"every address":           {admin.Config{Listen: ":9090"}, true},
		"every IPv4 address":      {admin.Config{Listen: "0.0.0.0:9090"}, true},
		"every IPv6 address":      {admin.Config{Listen: "[::]:9090"}, true},
		"a private address":       {admin.Config{Listen: "10.1.2.3:9090"}, true},
		"a name":                  {admin.Config{Listen: "node.example:9090"}, true},
		"every address, allowed":  {admin.Config{Listen: ":9090", AllowRemote: true}, false},
		"every address, with TLS": {admin.Config{Listen: ":9090", TLS: new(tls.Config)}, false},
	} {
		t.Run(name, func(t *testing.T) {
			c.cfg.Principals = own
			_, err := admin.New(c.cfg, f.backends())
			if got := errors.Is(err, admin.ErrRemote); got != c.refused || !c.refused && err != nil {
				t.Errorf("New: %v, want ErrRemote: %v", err, c.refused)
			}
		})
	}
}

func TestNew_Refuses(t *testing.T) {
	f := newFakes(t)
	for name, cfg := range map[string]admin.Config{
		"no token":             {},
		"an address in pieces": {Principals: own, Listen: "127.0.0.1"},
		"a negative count":     {Principals: own, MaxConnections: -1},
		"a negative time":      {Principals: own, TailStall: -time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := admin.New(cfg, f.backends()); err == nil {
				t.Error("New took it")
			}
		})
	}
	t.Run("a missing backend", func(t *testing.T) {
		if _, err := admin.New(admin.Config{Principals: own}, admin.Backends{Node: f.node}); err == nil {
			t.Error("New took it")
		}
	})
}
