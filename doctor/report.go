package doctor

// Schema names the form of the JSON report. Fields are only ever added to it.
const Schema = "edgeloop.doctor.v1"

// Verdict is what a limit means for the number of devices that is wanted.
type Verdict string

// The verdicts. Only Limits says that the devices do not fit.
const (
	OK      Verdict = "ok"      // wide enough
	Warn    Verdict = "warn"    // the devices fit; something else suffers, and the note says what
	Limits  Verdict = "limits"  // fewer devices fit than are wanted
	Unknown Verdict = "unknown" // could not be read; the note says why
	Info    Verdict = "info"    // bounds nothing by itself
)

// Check is one limit of the machine.
type Check struct {
	// ID is stable: the name of the sysctl, or a word for what is none. Group is
	// its heading, Value what was read, for people.
	ID    string `json:"id"`
	Group string `json:"group"`
	Value string `json:"value"`
	// Devices is how many devices the limit carries; nil if it bounds none.
	Devices *int64 `json:"devices"`
	// Arithmetic says how Devices comes from Value.
	Arithmetic string  `json:"arithmetic,omitempty"`
	Verdict    Verdict `json:"verdict"`
	Note       string  `json:"note,omitempty"`
	// Fix is what lifts the limit; nil if nothing does.
	Fix *Remedy `json:"fix,omitempty"`

	// caps says that no more than Devices can be connected, whatever they do.
	caps bool
}

// Remedy is how a limit is lifted: far enough for the devices that are wanted, or,
// where it is wide enough, to twice what it is.
type Remedy struct {
	// Now is a command that acts at once and is gone after a restart. Line in
	// File makes it last.
	Now  string `json:"now"`
	File string `json:"file"`
	Line string `json:"line"`

	sysctl, value string // set if this process may try it itself
}

// Limit names a check and what it carries.
type Limit struct {
	ID      string `json:"id"`
	Devices int64  `json:"devices"`
}

// Action is what --fix did about one check.
type Action struct {
	ID string `json:"id"`
	// Did is what was changed; empty if nothing was. Operator is what is left to
	// do by hand, Error why it could not be done here.
	Did      string `json:"did,omitempty"`
	Operator string `json:"operator,omitempty"`
	Error    string `json:"error,omitempty"`
}

// Report is all that was found.
type Report struct {
	Schema  string `json:"schema"`
	DataDir string `json:"data_dir"`
	// Wanted is the number of devices asked for. Fits says that no check has the
	// verdict Limits.
	Wanted int64 `json:"wanted"`
	Fits   bool  `json:"fits"`
	// Devices is how many this machine can hold now; First is the limit that says
	// so, Next the one that follows when First is lifted. Nil: no limit was read.
	Devices *int64 `json:"devices"`
	First   *Limit `json:"first"`
	Next    *Limit `json:"next"`
	// NotKnown lists limits that could not be read and may be lower than First.
	NotKnown []string `json:"not_known"`
	Costs    Costs    `json:"costs"`
	Checks   []Check  `json:"checks"`
	// Actions is filled by Fix.
	Actions []Action `json:"actions,omitempty"`
}

// conclude derives the numbers that matter from the checks.
func (r *Report) conclude() {
	r.Fits = true
	r.NotKnown = []string{}
	for _, c := range r.Checks {
		switch {
		case c.Verdict == Unknown && c.caps:
			r.NotKnown = append(r.NotKnown, c.ID)
		case c.Devices == nil || !c.caps:
			continue
		case r.First == nil || *c.Devices < r.First.Devices:
			r.First, r.Next = &Limit{c.ID, *c.Devices}, r.First
		case r.Next == nil || *c.Devices < r.Next.Devices:
			r.Next = &Limit{c.ID, *c.Devices}
		}
		r.Fits = r.Fits && c.Verdict != Limits
	}
	if r.First != nil {
		r.Devices = &r.First.Devices
	}
}

// check finds a check by its id.
func (r *Report) check(id string) *Check {
	for i := range r.Checks {
		if r.Checks[i].ID == id {
			return &r.Checks[i]
		}
	}
	return nil
}
