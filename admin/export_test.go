package admin

// Patterns lists every pattern of the mux, and whether it needs no token.
func (s *Server) Patterns() map[string]bool {
	patterns := make(map[string]bool)
	for pattern, r := range s.byRoute {
		patterns[pattern] = r.open
	}
	return patterns
}

// OpenAPIDocument is the embedded document.
func OpenAPIDocument() []byte { return openapiDocument }
