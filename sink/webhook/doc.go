// Package webhook sends records by HTTP POST: as lines of JSON, as a JSON array or as a
// CloudEvents batch, compressed and signed where that is asked for.
//
// # Errors
//
// 2xx confirms. 400, 413 and 422 refuse: as a whole, so that fewer are tried until one is
// left. All else is of the moment: 401 and 403 too, until the credentials are right;
// 404, until the receiver is there; 3xx, because a redirect is never followed; a Retry-After is
// heeded.
//
// # Not here
//
// Retries: sink.
package webhook
