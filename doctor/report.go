package doctor

// Schema names the form of the JSON report. Fields may be added, never changed or removed.
const Schema = "edgeloop.doctor.v1"

// Verdict is what a limit means for the wanted number of devices.
type Verdict string

// The verdicts. Only Limits says that the devices do not fit.
const (
	OK      Verdict = "ok"      // high enough
	Warn    Verdict = "warn"    // the devices fit, but something else suffers; the note says what
	Limits  Verdict = "limits"  // fewer devices fit than are wanted
	Unknown Verdict = "unknown" // could not be read; the note says why
	Info    Verdict = "info"    // limits nothing by itself
)

// Check is one limit of the machine.
type Check struct {
	// ID is stable: the name of a sysctl, or a word for any other limit. Group is its
	// heading. Value is what was read, for people.
	ID    string `json:"id"`
	Group string `json:"group"`
	Value string `json:"value"`
	// Devices is how many devices the limit allows; nil if it limits none.
	Devices *int64 `json:"devices"`
	// Arithmetic says how Devices follows from Value.
	Arithmetic string  `json:"arithmetic,omitempty"`
	Verdict    Verdict `json:"verdict"`
	Note       string  `json:"note,omitempty"`
	// Fix lifts the limit; nil if nothing does.
	Fix *Remedy `json:"fix,omitempty"`

	// caps says that no more than Devices can connect, whatever they do.
	caps bool
}

// Remedy lifts a limit: far enough for the wanted devices or, where they fit, for twice what
// fits now.
type Remedy struct {
	// Now is a command that acts at once and does not survive a restart. Line in File
	// makes it permanent.
	Now  string `json:"now"`
	File string `json:"file"`
	Line string `json:"line"`

	sysctl, value string // set if this process may try it
}

// Limit names a check and how many devices it allows.
type Limit struct {
	ID      string `json:"id"`
	Devices int64  `json:"devices"`
}

// Action is what --fix did about one check.
type Action struct {
	ID string `json:"id"`
	// Did says what was changed; empty if nothing was. Operator says what is left to do
	// by hand. Error says why it could not be done here.
	Did      string `json:"did,omitempty"`
	Operator string `json:"operator,omitempty"`
	Error    string `json:"error,omitempty"`
}

// Report is the result of an examination.
type Report struct {
	Schema  string `json:"schema"`
	DataDir string `json:"data_dir"`
	// Wanted is the wanted number of devices. Fits says that no check has the verdict
	// Limits.
	Wanted int64 `json:"wanted"`
	Fits   bool  `json:"fits"`
	// Devices is how many this machine can hold now. First is the limit that decides it,
	// Next the one that follows when First is lifted. Nil: no limit was read.
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

// conclude derives the headline numbers from the checks.
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
