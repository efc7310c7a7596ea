package sink

// Matches says whether a topic is one of a topic filter.
func Matches(filter, topic string) bool { return matches(filter, topic) }
