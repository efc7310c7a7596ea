package doctor

// Fix sets the sysctls that Examine found too low, looks again, and returns what
// it finds then, with Actions saying what was done and what is left to do by
// hand. A limit that cannot be lifted here is an action with an error or with
// work for the operator, never an error of Fix.
func Fix(cfg Config) (*Report, error) {
	before, err := Examine(cfg)
	if err != nil {
		return nil, err
	}
	var actions []Action
	for _, c := range before.Checks {
		if c.Verdict == Limits || c.Verdict == Warn {
			actions = append(actions, lift(&cfg.Root, c))
		}
	}
	after, err := Examine(cfg)
	if err != nil {
		return nil, err
	}
	after.Actions = settle(actions, after)
	return after, nil
}

// lift does what this process may do about one check.
func lift(root *Root, c Check) Action {
	a := Action{ID: c.ID}
	switch {
	case c.Fix == nil:
		a.Operator = c.Note
	case c.Fix.sysctl == "":
		// The limits of whoever starts the node, its disk, its clock, its group:
		// a process can raise its own limits only, and they end with it.
		a.Operator = c.Fix.Now + "; to last: " + c.Fix.File + ": " + c.Fix.Line
	default:
		if err := root.Write(sysctlFile(c.Fix.sysctl), c.Fix.value); err != nil {
			a.Error = plain(err).Error()
			a.Operator = "as root: " + c.Fix.Now + "; to last: " + c.Fix.File + ": " + c.Fix.Line
			return a
		}
		a.Did = c.Fix.Now + " (was " + c.Value + ")"
		a.Operator = "to last: " + c.Fix.File + ": " + c.Fix.Line
	}
	return a
}

// settle drops the claim of an action that the second look does not confirm: the
// kernel may have taken the value and kept another.
func settle(actions []Action, after *Report) []Action {
	for i := range actions {
		a := &actions[i]
		if c := after.check(a.ID); a.Did != "" && (c.Verdict == Limits || c.Verdict == Warn) {
			a.Error = "written, but it still is " + c.Value
			a.Did = ""
		}
	}
	return actions
}
