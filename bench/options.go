package bench

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"edgeloop/bench/fleet"
	"edgeloop/bench/probe"
)

// ErrOptions wraps every complaint about options.
var ErrOptions = errors.New("bench: bad options")

// Options are what every scenario needs to know. The struct tags are read by
// the command line, which is the only place with defaults for people.
type Options struct {
	URL         string `help:"Where the devices connect; default: as in the data directory of the node." placeholder:"URL"`
	Connections int    `help:"Number of devices." short:"c" default:"1000"`
	Dialect     string `help:"What the devices speak: raw, json, frame.json or frame.proto over WebSocket; mqtt (3.1.1) or mqtt5 over TCP." default:"json" enum:"raw,json,frame.json,frame.proto,mqtt,mqtt5"`
	Subscribe   string `help:"Topic filter that each MQTT device subscribes to; default: in scenarios with commands the node's, else none." placeholder:"FILTER"`
	Tenant      string `help:"Tenant of all devices." default:"default"`
	Prefix      string `help:"Prefix of the device names; a number follows." default:"bench-"`
	DataDir     string `help:"The data directory of a node on this machine: edgebench reads its addresses, process id, device secret and admin token there."`
	SecretFile  string `help:"Secret that signs the devices' tokens (HS256); default: in the data directory."`
	NoToken     bool   `help:"Send no tokens: names go into the query (--auth=none)."`

	PID            int    `help:"Process id of the server, to read CPU, memory and descriptors; default: the node's." default:"0"`
	AdminURL       string `help:"The node's admin API; for other Go servers, where their pprof listens." placeholder:"URL"`
	AdminTokenFile string `help:"File with the admin token; default: admin.token in the data directory."`

	AlsoPID []int `name:"also-pid" help:"Process ids of what stands in front of the server, as a proxy does: CPU and memory are counted together." placeholder:"PID"`

	TLSCA      string `name:"tls-ca" help:"Authorities that sign the certificate of a wss:// or mqtts:// server, a PEM file; default: those of the system. With --data-dir and no --url: connect by TLS." type:"path"`
	TLSCert    string `name:"tls-cert" help:"Certificate that all devices present, a PEM file." type:"path"`
	TLSKey     string `name:"tls-key" help:"Its key." type:"path"`
	TLSVersion string `name:"tls-version" help:"The only version of TLS that devices speak; default: both." enum:",1.2,1.3" default:""`
	TLSClassic bool   `name:"tls-classic" help:"Leave the post-quantum key share (X25519MLKEM768) out."`
	TLSResume  bool   `name:"tls-resume" help:"Come back by session tickets."`

	ConnectRate     float64 `help:"Connects a second; 0 is as fast as possible." default:"0"`
	ConnectInFlight int     `help:"Handshakes under way at once." default:"256"`
	Workers         int     `help:"Worker processes; 0 is as many as the descriptor limit requires." default:"0"`
	Loops           int     `help:"Event loops in each process." default:"1"`
	PerSource       int     `help:"Connections for each source address; 0 is an eighth of the ephemeral ports." default:"0"`
	ReceiveBuffer   int     `help:"SO_RCVBUF of each device, in bytes; 0 leaves the system default." default:"0"`

	Heartbeat        time.Duration `help:"Silence after which a device sends a heartbeat; 0: it only answers pings." default:"0"`
	HandshakeTimeout time.Duration `help:"Time for one handshake." default:"30s"`
	MessageTimeout   time.Duration `help:"An answer later than this is a lost message." default:"10s"`
	ConnectTimeout   time.Duration `help:"Time for all devices to connect." default:"5m"`

	topic string // that devices publish to; "": the fleet's default

	Require []string `help:"Fail with exit code 1 unless a value of the result meets this condition, as in 'figures.rtt_p99_ms<=5'. Repeatable." placeholder:"EXPR" sep:"none"`
}

// locate fills in what the node left in its data directory, where nothing else
// was said.
func (o *Options) locate() error {
	if o.DataDir != "" {
		at, err := ReadAddresses(o.DataDir)
		if err != nil && o.URL == "" {
			return fmt.Errorf("%w: no --url, and %w", ErrOptions, err)
		}
		if err == nil && o.URL == "" {
			if o.URL, err = at.url(o.mqtt(), o.TLSCA != ""); err != nil {
				return err
			}
			o.AdminURL = cmp.Or(o.AdminURL, "http://"+at.Admin)
			o.PID = cmp.Or(o.PID, at.PID)
		}
	}
	if o.URL == "" {
		return fmt.Errorf("%w: neither --url nor --data-dir", ErrOptions)
	}
	return nil
}

// Addresses is what a node writes down for those who look for it.
type Addresses struct {
	Listen string `json:"listen"`
	TLS    string `json:"tls"`
	MQTT   string `json:"mqtt"`
	Admin  string `json:"admin"`
	PID    int    `json:"pid"`
}

// url is where devices connect.
func (a Addresses) url(mqtt, secure bool) (string, error) {
	switch {
	case secure && (mqtt || a.TLS == ""):
		return "", fmt.Errorf("%w: --tls-ca: the node of --data-dir has no --tls-listen, or the devices speak MQTT: give --url=wss://host:port/path or --url=mqtts://host:port", ErrOptions)
	case secure:
		return "wss://" + a.TLS + "/v1/device", nil
	case !mqtt:
		return "ws://" + a.Listen + "/v1/device", nil
	case a.MQTT == "":
		return "", fmt.Errorf("%w: the node of --data-dir has no listener for plain MQTT: start it with --mqtt-listen, or give --url=mqtt://host:port", ErrOptions)
	}
	return "mqtt://" + a.MQTT, nil
}

// mqtt says whether the devices speak MQTT.
func (o Options) mqtt() bool { return strings.HasPrefix(o.Dialect, "mqtt") }

// goingAway is the code with which a node that stops sends devices away: of a Close frame, or of
// DISCONNECT in MQTT 5. 0: 3.1.1 has no word for it but the cut.
func (o Options) goingAway() int {
	switch o.Dialect {
	case "mqtt":
		return 0
	case "mqtt5":
		return 0x8b
	}
	return 1001
}

// speakMQTT has devices speak 3.1.1 where no version of MQTT was asked for.
func (o *Options) speakMQTT() {
	if !o.mqtt() {
		o.Dialect = "mqtt"
	}
}

// hearCommands has devices of MQTT subscribe to what a node tells them.
func (o *Options) hearCommands() {
	if o.mqtt() {
		o.Subscribe = cmp.Or(o.Subscribe, "$edgeloop/command/#")
	}
}

// ReadAddresses reads them from the node's data directory.
func ReadAddresses(dataDir string) (Addresses, error) {
	var a Addresses
	b, err := os.ReadFile(filepath.Join(dataDir, "node.json"))
	if err == nil {
		err = json.Unmarshal(b, &a)
	}
	return a, err
}

// fleetConfig is the configuration of the fleet of devices [first, first+count).
func (o Options) fleetConfig(first, count int) (fleet.Config, error) {
	cfg := fleet.Config{
		URL: o.URL, Dialect: o.Dialect, Subscribe: o.Subscribe, Topic: o.topic, First: first, Count: count, Loops: o.Loops, PerSource: o.PerSource,
		Tenant: o.Tenant, Prefix: o.Prefix, HandshakeTimeout: o.HandshakeTimeout,
		TLS:            fleet.TLS{CA: o.TLSCA, Cert: o.TLSCert, Key: o.TLSKey, Version: o.TLSVersion, Classic: o.TLSClassic, Resume: o.TLSResume},
		MessageTimeout: o.MessageTimeout, Heartbeat: o.Heartbeat, ReceiveBuffer: o.ReceiveBuffer,
	}
	path := o.SecretFile
	if path == "" && o.DataDir != "" {
		path = filepath.Join(o.DataDir, secretName)
	}
	if o.NoToken || path == "" {
		return cfg, nil
	}
	secret, err := readSecret(path)
	if err != nil {
		return cfg, err
	}
	cfg.Secret = secret
	return cfg, nil
}

// secretName is the file of the device secret under the node's data directory.
const secretName = "device.secret"

// readSecret takes a secret as the node does: the bytes of the file but for
// white space at the ends.
func readSecret(path string) ([]byte, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%w: secret: %w", ErrOptions, err)
	}
	return bytes.TrimSpace(b), nil
}

// admin is the node's admin API; ok is false when none was named.
func (o Options) admin() (e probe.Endpoint, ok bool, err error) {
	if o.AdminURL == "" {
		return e, false, nil
	}
	e.URL = o.AdminURL
	path := o.AdminTokenFile
	if path == "" && o.DataDir != "" {
		path = filepath.Join(o.DataDir, "admin.token")
	}
	if path != "" {
		b, err := os.ReadFile(path)
		if err != nil {
			return e, false, fmt.Errorf("%w: admin token: %w", ErrOptions, err)
		}
		e.Token = strings.TrimSpace(string(b))
	}
	return e, true, nil
}

// Threshold is one --require, and what came of it.
type Threshold struct {
	Expr   string  `json:"expr"`
	Got    float64 `json:"got"`
	OK     bool    `json:"ok"`
	Reason string  `json:"reason,omitempty"`
}

// split takes an expression apart: path, operator, wanted value.
func split(expr string) (path, op string, want float64, err error) {
	for _, op := range []string{"<=", ">=", "==", "<", ">"} {
		path, value, ok := strings.Cut(expr, op)
		if !ok {
			continue
		}
		want, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
		if err != nil {
			return "", "", 0, fmt.Errorf("%w: --require %q: %w", ErrOptions, expr, err)
		}
		return strings.TrimSpace(path), op, want, nil
	}
	return "", "", 0, fmt.Errorf("%w: --require %q: want NAME<=VALUE, with <=, >=, ==, < or >", ErrOptions, expr)
}

func compare(got float64, op string, want float64) bool {
	switch op {
	case "<=":
		return got <= want
	case ">=":
		return got >= want
	case "<":
		return got < want
	case ">":
		return got > want
	}
	return got == want
}
