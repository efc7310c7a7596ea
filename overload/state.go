package overload

// A State says how a node stands. The list is closed, and grows worse; it labels the metric
// edgeloop_overload_state.
type State uint8

// The states.
const (
	Well       State = iota // nothing is refused
	Busy                    // what is large and can wait is refused
	Strained                // so is who does not know this node yet
	Overloaded              // so is who is not connected
	numStates
)

// NumStates is how many there are; they count from zero.
const NumStates = int(numStates)

// String is the metric label.
func (s State) String() string {
	if s >= numStates {
		return "unknown"
	}
	return [numStates]string{"well", "busy", "strained", "overloaded"}[s]
}

// A Cause is something that runs short. The list is closed; it labels the metric
// edgeloop_overload_level.
type Cause uint8

// The causes, the gravest first: of those that are equally bad that one is named.
const (
	Processor  Cause = iota // seconds for which an event loop has not turned
	Memory                  // the share of the process's memory limit that is in use
	Log                     // seconds that the log takes to make records durable
	Messages                // the share of --inflight-bytes that is in use
	Handshakes              // the share of the places where handshakes wait that is taken
	numCauses
)

// NumCauses is how many there are; they count from zero.
const NumCauses = int(numCauses)

// String is the metric label.
func (c Cause) String() string {
	if c >= numCauses {
		return "unknown"
	}
	return [numCauses]string{"processor", "memory", "log", "messages", "handshakes"}[c]
}

// never is more than is ever measured: a cause does not lead to that state.
const never = 1e300

// enters is from which measurement on a cause leads to a state. Messages and handshakes are
// bounded by what is held back, and a log that stands still costs those that are connected
// no more than waiting, so these lead no further.
func (c Cause) enters(s State) float64 {
	return [numCauses][numStates]float64{
		Processor:  {Busy: 2, Strained: 5, Overloaded: 10},
		Memory:     {Busy: 0.75, Strained: 0.85, Overloaded: 0.92},
		Log:        {Busy: 1, Strained: 3, Overloaded: never},
		Messages:   {Busy: 0.9, Strained: never, Overloaded: never},
		Handshakes: {Busy: 0.9, Strained: never, Overloaded: never},
	}[c][s]
}

// Leaves is below which measurement it no longer keeps a node in a state.
func (c Cause) Leaves(s State) float64 { return 0.9 * c.enters(s) }

// reached is the worst state of which a measurement has the bound.
func reached(bound func(State) float64, measured float64) State {
	s := Well
	for next := Busy; next < numStates && measured >= bound(next); next++ {
		s = next
	}
	return s
}

// A Load is work that a node can refuse. The list is closed; it labels the metric
// edgeloop_overload_refused_total.
type Load uint8

// The loads, in the order in which they are refused.
const (
	Backup   Load = iota // a backup that begins
	Past                 // a tail that begins in the past
	Tail                 // any other tail that begins
	Event                // an event of a device that would become a record
	Stranger             // a connection of a device that this node does not know
	List                 // a page of a list
	Newcomer             // a connection of a device that is known, and not connected
	numLoads
)

// NumLoads is how many there are; they count from zero.
const NumLoads = int(numLoads)

// String is the metric label.
func (l Load) String() string {
	if l >= numLoads {
		return "unknown"
	}
	return [numLoads]string{"backup", "past", "tail", "event", "stranger", "list", "newcomer"}[l]
}

// Rung is the state from which on a load is refused.
func (l Load) Rung() State {
	return [numLoads]State{
		Backup: Busy, Past: Busy,
		Tail: Strained, Event: Strained, Stranger: Strained,
		List: Overloaded, Newcomer: Overloaded,
	}[l]
}
