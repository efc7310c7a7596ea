package fault

// Scenarios are all ways to hurt a node, in the order in which they are run.
func Scenarios() []Scenario {
	return []Scenario{
		{Name: "kill", About: "kill -9 under load, at start-up, in the drain, in a takeover, in a storm", Act: actKill},
	}
}

// Named finds a scenario.
func Named(name string) (Scenario, bool) {
	for _, s := range Scenarios() {
		if s.Name == name {
			return s, true
		}
	}
	return Scenario{}, false
}
