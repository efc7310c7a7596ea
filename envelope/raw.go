package envelope

// rawCodec serves devices that offer no subprotocol: they send only telemetry without
// sequence, and get only commands.
type rawCodec struct{}

func (rawCodec) Name() string { return ProtoRaw }

func (rawCodec) Binary() bool { return false }

func (rawCodec) Decode(_ bool, payload []byte, m *Message) error {
	m.Reset()
	m.Type = TypeTelemetry
	m.Data = payload
	if payload == nil {
		m.Data = []byte{} // present, though empty; zero-size, so not allocated
	}
	return nil
}

// Append writes a command as its data, or as its name if it has none. A command's data comes
// from the admin API as JSON, so it fits a text message.
func (rawCodec) Append(dst []byte, m *Message) []byte {
	switch {
	case m.Type != TypeCommand:
		return dst
	case len(m.Data) == 0:
		return append(dst, m.Name...)
	}
	return append(dst, m.Data...)
}
