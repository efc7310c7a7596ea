package main

// reload is what SIGHUP asks for.
func (n *node) reload() {
	n.log.Warn("the settings cannot be read again while the node runs")
}
