package doctor

import "fmt"

const (
	defaultDevices        = 100_000
	defaultOwnDescriptors = 768
	mostDevices           = 1 << 30
)

// Config says what is wanted of the machine.
type Config struct {
	// Devices is how many are wanted; 0 is 100,000, what a node takes by default.
	Devices int
	// DataDir is where the log will be. Syncs are measured there, or in the
	// nearest folder above it that exists. Default "data".
	DataDir string
	// OwnDescriptors is what a node keeps for itself; 0 is 768. Too low, and the
	// report promises more devices than the node then lets in.
	OwnDescriptors int
	// Root is the machine; Machine() for this one.
	Root Root
}

func (c Config) withDefaults() (Config, error) {
	if c.Devices == 0 {
		c.Devices = defaultDevices
	}
	if c.DataDir == "" {
		c.DataDir = "data"
	}
	if c.OwnDescriptors == 0 {
		c.OwnDescriptors = defaultOwnDescriptors
	}
	switch {
	case c.Devices < 1 || c.Devices > mostDevices:
		return c, fmt.Errorf("doctor: %d devices: 1 to %d are possible", c.Devices, mostDevices)
	case c.OwnDescriptors < 0 || c.OwnDescriptors > mostDevices:
		return c, fmt.Errorf("doctor: %d descriptors of the node's own: 1 to %d are possible", c.OwnDescriptors, mostDevices)
	}
	return c, nil
}
