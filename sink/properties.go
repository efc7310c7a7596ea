package sink

import (
	"encoding/base64"
	"encoding/json"
	"mime"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// Properties are what a client of MQTT 5 sent beside its data (docs/data.md).
type Properties struct {
	PayloadFormat   *byte       `json:"payload_format"` // 1: the payload is UTF-8; nil: not said
	ContentType     string      `json:"content_type"`
	ResponseTopic   string      `json:"response_topic"`
	CorrelationData []byte      `json:"correlation_data"`
	User            [][2]string `json:"user"` // names and values, in their order

	line json.RawMessage // as stored
}

// UnmarshalJSON reads what a record has. line is borrowed until return.
func (p *Properties) UnmarshalJSON(line []byte) error {
	type plain Properties
	if err := json.Unmarshal(line, (*plain)(p)); err != nil {
		return err //nolint:wrapcheck // of json, to json
	}
	p.line = slices.Clone(line)
	return nil
}

// user is the value of the first user property of a name, "" for none.
func (p *Properties) user(name string) string {
	for _, one := range p.User {
		if one[0] == name {
			return one[1]
		}
	}
	return ""
}

// besidePrefix is in front of the names of a device's user properties among headers and the like,
// whose other names the node, the destination and the frameworks of who reads it take for orders.
const besidePrefix = "user."

// Beside are the user properties of the record, for headers and the like: all, in their order,
// each as user.NAME.
func (r *Record) Beside() (all []Pair) {
	if r.Properties == nil {
		return nil
	}
	for _, one := range r.Properties.User {
		all = append(all, Pair{besidePrefix + one[0], one[1]})
	}
	return all
}

// contentType is what a CloudEvent says that its data is: what the device said, where that can be.
func (r *Record) contentType() string {
	const text = "application/json"
	if r.Properties == nil {
		return text
	}
	media, _, err := mime.ParseMediaType(r.Properties.ContentType)
	if err != nil || r.Encoding != "base64" && media != text && !strings.HasSuffix(media, "+json") {
		return text
	}
	return r.Properties.ContentType
}

// attributeForm is the name that an extension attribute of a CloudEvent may have.
var attributeForm = regexp.MustCompile(`^[a-z0-9]{1,20}$`)

// attributes are names that a CloudEvent has already, and those that a node gives to what it says of
// a record: a device's user property of such a name would pass for that.
var attributes = []string{
	"specversion", "id", "source", "subject", "time", "datacontenttype", "dataschema", "data", "responsetopic", "correlationdata",
	"tenant", "device", "epoch", "seq", "sequence", "position", "type", "topic", "traceparent", "tracestate",
}

// appendAttributes appends properties as extension attributes of a CloudEvent: of user
// properties the first of each name that can be one, with a value that can be one's.
func (r *Record) appendAttributes(dst []byte) []byte {
	if r.Properties == nil {
		return dst
	}
	if topic := r.Properties.ResponseTopic; topic != "" {
		dst = appendField(dst, `,"responsetopic":`, topic)
	}
	if data := r.Properties.CorrelationData; len(data) > 0 {
		dst = appendField(dst, `,"correlationdata":`, base64.StdEncoding.EncodeToString(data))
	}
	var has []string
	for _, one := range r.Properties.User {
		name, value := one[0], one[1]
		if attributeForm.MatchString(name) && !slices.Contains(attributes, name) && !slices.Contains(has, name) && !strings.ContainsFunc(value, unicode.IsControl) {
			dst, has = appendField(dst, `,"`+name+`":`, value), append(has, name)
		}
	}
	return dst
}

// propertyNames are what a field may name of properties, beside user.NAME.
var propertyNames = []string{"payload_format", "message_expiry", "content_type", "response_topic", "correlation_data", "user"}

// cutProperty reads what of the properties a field names; ok is false for what there is not.
func cutProperty(text string) (path []string, ok bool) {
	if name, is := strings.CutPrefix(text, "user."); is {
		return []string{"user", name}, name != "" // which may have a point in it
	}
	return []string{text}, slices.Contains(propertyNames, text)
}

// inProperties is the value of the field in a record's properties, nil if there is none.
func (f *Field) inProperties(r *Record) json.RawMessage {
	switch {
	case r.Properties == nil:
		return nil
	case len(f.Path) == 0:
		return r.Properties.line
	case len(f.Path) == 2:
		if text := r.Properties.user(f.Path[1]); text != "" {
			return appendField(nil, "", text)
		}
		return nil
	}
	var object map[string]json.RawMessage
	if json.Unmarshal(r.Properties.line, &object) != nil {
		return nil
	}
	return object[f.Path[0]]
}
