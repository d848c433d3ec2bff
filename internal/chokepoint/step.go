package chokepoint

// SourceStep is the whole outcome of one visit to a source, the failed one
// included. A store takes it or refuses it as one.
type SourceStep struct {
	Lease        Lease // must still hold
	Source       string
	Cursor       string        // kept as it is given; a failed visit gives the old one
	Observations []Observation // oldest first
	Health       Health        // replaces the source's; Items is counted by the store
	Alerts       []Alert       // of AlertOps: the source fails, or has recovered
}

// Step is the whole outcome of one tick of a watcher. A store takes it or
// refuses it as one.
type Step struct {
	Lease    Lease // must still hold
	Watcher  string
	Position Position // read up to here
	State    []byte   // the judge's; nil leaves it as it was
	Cards    []Card   // replace those of the same Kind and ID
	Rules    []Rule   // new State, Fired, Firings and Done of rules that still exist with the same Symbol and Text; others are passed over
	Alerts   []Alert  // written with their spreads; an ID that is known is left alone
	Report   TickReport
}
