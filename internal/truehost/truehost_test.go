package truehost_test

import (
	"testing"

	"edgeloop/internal/truehost"
)

func TestSure(t *testing.T) {
	for host, want := range map[string]bool{
		"127.0.0.1": true, "127.0.0.1:9090": true, "10.0.0.1:1": true, "[::1]": true, "[::1]:9090": true, "::1": true,
		"[fe80::1%eth0]:80": true, "localhost": true, "LocalHost:9090": true, "localhost.": true,
		"": false, ":9090": false, "evil.example": false, "evil.example:9090": false, "127.0.0.1.evil.example": false,
		"localhost.evil.example": false, "evil.localhost": false, "0x7f.1": false, "2130706433": false, "127.1": false,
		"127.0.0.1@evil.example": false, "evil.example:127.0.0.1": false, "127.0.0.1:9090:1": false, "127.0.0.1 evil.example": false,
	} {
		if got := truehost.Sure(host); got != want {
			t.Errorf("%q is sure: %t, want %t", host, got, want)
		}
	}
}

func TestAmong(t *testing.T) {
	names := []string{"node.example", "Edge-1"}
	for host, want := range map[string]bool{
		"node.example": true, "NODE.example:9090": true, "node.example.": true, "edge-1:80": true,
		"": false, "evil.node.example": false, "node.example.evil": false, "example": false, "node.example@evil": false,
	} {
		if got := truehost.Among(host, names); got != want {
			t.Errorf("%q is among them: %t, want %t", host, got, want)
		}
	}
}
