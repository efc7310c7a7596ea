package envelope

// rawCodec is spoken with devices that offer no subprotocol: all they send is
// telemetry without sequence, all they hear are commands.
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

// Append makes a command its data, or its name if it has none. A command's data
// comes from the admin API as JSON, so it is fit for a text message.
func (rawCodec) Append(dst []byte, m *Message) []byte {
	switch {
	case m.Type != TypeCommand:
		return dst
	case len(m.Data) == 0:
		return append(dst, m.Name...)
	}
	return append(dst, m.Data...)
}
