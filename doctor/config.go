package doctor

import "fmt"

const (
	defaultDevices        = 100_000
	defaultOwnDescriptors = 768
	mostDevices           = 1 << 30
)

// Config says what the machine should hold.
type Config struct {
	// Devices is the wanted number; 0 is 100,000, the default of a node.
	Devices int
	// DataDir is where the log will be. Syncs are measured there, or in the nearest
	// existing folder above it. Default "data".
	DataDir string
	// OwnDescriptors is the number that a node reserves for itself; 0 is 768. Too low:
	// the report promises more devices than the node then lets in.
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
		return c, fmt.Errorf("doctor: %d devices: allowed are 1 to %d", c.Devices, mostDevices)
	case c.OwnDescriptors < 0 || c.OwnDescriptors > mostDevices:
		return c, fmt.Errorf("doctor: %d descriptors for the node: allowed are 1 to %d", c.OwnDescriptors, mostDevices)
	}
	return c, nil
}
