package api

import "strconv"

// ProblemType is the media type of a Problem.
const ProblemType = "application/problem+json"

// Overloaded is the Type of the Problem of a node that has too much to do for a request; it
// says in Retry-After when to ask again.
const Overloaded = "urn:edgeloop:problem:overloaded"

// Problem is an RFC 9457 problem document: the body of every refusal.
type Problem struct {
	// Type is a URN, "urn:edgeloop:problem:unknown-device"; stable, for programs.
	Type string `json:"type"`
	// Title is the same for every problem of the type.
	Title string `json:"title"`
	// Status is the HTTP status.
	Status int `json:"status"`
	// Detail says what was wrong with this request.
	Detail string `json:"detail"`

	// Field that was refused, in the body, the query or the path.
	Field string `json:"field,omitempty"`
	// Allowed values or names, where they can be listed.
	Allowed []string `json:"allowed,omitempty"`
	// Min and Max of what is allowed: numbers or duration strings.
	Min any `json:"min,omitempty"`
	Max any `json:"max,omitempty"`
	// ID of the command that got no reply.
	ID string `json:"id,omitempty"`
}

func (p *Problem) Error() string {
	return strconv.Itoa(p.Status) + " " + p.Title + ": " + p.Detail
}
