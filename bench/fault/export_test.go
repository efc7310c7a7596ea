package fault

// ComparePresence is comparePresence.
func ComparePresence(listed []Listed, records []Record, online bool) []Violation {
	return comparePresence(listed, records, online)
}
