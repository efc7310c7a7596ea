package envelope

type jsonCodec struct{ reader side }

func (jsonCodec) Name() string { return ProtoJSON }

func (jsonCodec) Binary() bool { return false }

func (c jsonCodec) Decode(binary bool, payload []byte, m *Message) error {
	return &Fault{Code: CodeBadEnvelope, Message: "not built yet"}
}

func (jsonCodec) Append(dst []byte, m *Message) []byte { return dst }
