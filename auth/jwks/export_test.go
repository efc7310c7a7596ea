package jwks

import "net/http"

// SetTransport takes the place of the network.
func (s *Source) SetTransport(rt http.RoundTripper) { s.http.Transport = rt }

// FreshFor is when an answer with these headers is fetched again.
var FreshFor = freshFor

// IsPublic says what may be dialled without having been named.
var IsPublic = isPublic
