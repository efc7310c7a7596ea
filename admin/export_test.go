package admin

// Patterns lists every pattern of the mux, and whether it needs no token.
func (s *Server) Patterns() map[string]bool {
	patterns := make(map[string]bool)
	for pattern, r := range s.byRoute {
		patterns[pattern] = r.who.open
	}
	return patterns
}

// Needs is the scope that a route needs.
func (s *Server) Needs(pattern string) string { return s.byRoute[pattern].who.scope.String() }

// OpenAPIDocument is the embedded document.
func OpenAPIDocument() []byte { return openapiDocument }
