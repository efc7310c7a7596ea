package api

import "time"

// Token is what a token of this API allows, as its holder may know it.
type Token struct {
	// Name of the token in the tokens file.
	Name string `json:"name"`
	// Scopes are words of "metrics", "read", "command", "admin".
	Scopes []string `json:"scopes"`
	// Tenant is the only one that it sees and commands; absent: all, and the node.
	Tenant string `json:"tenant,omitempty"`
	// Expires is absent for a token that does not.
	Expires *time.Time `json:"expires,omitempty"`
}
