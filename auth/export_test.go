package auth

// Lists is how many different lists of topics v keeps for sharing.
func Lists(v *Verifier) int {
	v.lists.mu.Lock()
	defer v.lists.mu.Unlock()
	return len(v.lists.byText)
}
