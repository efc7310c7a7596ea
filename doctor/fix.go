package doctor

// Fix sets the sysctls that Examine finds too low, examines again, and returns the new
// report. Its Actions say what was done and what is left for the operator. A limit that
// cannot be lifted here is an action with an error or with work for the operator, never
// an error of Fix.
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

// lift does what this process can about one check.
func lift(root *Root, c Check) Action {
	a := Action{ID: c.ID}
	switch {
	case c.Fix == nil:
		a.Operator = c.Note
	case c.Fix.sysctl == "":
		// These are the limits that the node inherits, its disk, its clock and its
		// group. A process can raise only its own limits, and they end with it.
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

// settle withdraws an action that the second look does not confirm: the kernel may have
// accepted the value and kept another.
func settle(actions []Action, after *Report) []Action {
	for i := range actions {
		a := &actions[i]
		if c := after.check(a.ID); a.Did != "" && (c.Verdict == Limits || c.Verdict == Warn) {
			a.Error = "written, but it is still " + c.Value
			a.Did = ""
		}
	}
	return actions
}
