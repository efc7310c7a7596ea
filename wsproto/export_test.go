package wsproto

// Primed is what the inflater reads before each message.
var Primed = primed
