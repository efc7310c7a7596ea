package admin

import (
	_ "embed"
	"net/http"
)

//go:embed openapi.json
var openapiDocument []byte // shared, never written

func (s *Server) openapi(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "application/vnd.oai.openapi+json;version=3.1")
	_, _ = w.Write(openapiDocument)
	return nil
}
