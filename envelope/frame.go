package envelope

type frameJSONCodec struct{ reader side }

func (frameJSONCodec) Name() string { return ProtoFrameJSON }

func (frameJSONCodec) Binary() bool { return true }

func (c frameJSONCodec) Decode(binary bool, payload []byte, m *Message) error {
	return &Fault{Code: CodeBadEnvelope, Message: "not built yet"}
}

func (frameJSONCodec) Append(dst []byte, m *Message) []byte { return dst }

type frameProtoCodec struct{ reader side }

func (frameProtoCodec) Name() string { return ProtoFrameProto }

func (frameProtoCodec) Binary() bool { return true }

func (c frameProtoCodec) Decode(binary bool, payload []byte, m *Message) error {
	return &Fault{Code: CodeBadEnvelope, Message: "not built yet"}
}

func (frameProtoCodec) Append(dst []byte, m *Message) []byte { return dst }
