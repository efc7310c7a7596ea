package main

import (
	"runtime/debug"
	"time"
)

// serveCmd is the node. Each field is a flag, an EDGELOOP_ variable and a key of
// the configuration file.
type serveCmd struct {
	Listen         []string `default:"127.0.0.1:8080" placeholder:"ADDRESS" help:"Address that devices connect to, host:port; port 0 picks a free one. May be given several times; none where devices connect by other listeners alone."`
	TLSListen      []string `name:"tls-listen" placeholder:"ADDRESS" help:"Address that devices connect to by TLS (wss), host:port. May be given several times."`
	MQTTListen     []string `name:"mqtt-listen" placeholder:"ADDRESS" help:"Address that devices connect to by MQTT 3.1.1 or 5.0 over TCP, host:port. May be given several times."`
	MQTTTLSListen  []string `name:"mqtt-tls-listen" placeholder:"ADDRESS" help:"Address that devices connect to by MQTT over TLS, host:port. May be given several times."`
	MQTTApps       string   `name:"mqtt-apps" default:"tls" enum:"off,tls,any" help:"Whether applications that show an admin token subscribe to records by MQTT, wherever devices connect by it: by TLS or from this machine (tls), also where the token crosses the network in the clear (any), or not at all (off)."`
	MQTTTopics     string   `name:"mqtt-topics" default:"devices/{device}/{topic}" placeholder:"TEMPLATE" help:"Topic at which applications find the records of devices that do not speak MQTT: levels of text, {device} or {type}, the first of text, and {topic} the last."`
	MQTTRetained   int      `name:"mqtt-retained-max" default:"10000" help:"Most messages of MQTT to retain for applications; together they may take 4 KiB times this number. One tenant may have half of both. 0 retains nothing, and neither does a node with a shared log or with --mqtt-apps=off."`
	TLSCert        []string `name:"tls-cert" type:"path" placeholder:"FILE" help:"Certificate of --tls-listen and --mqtt-tls-listen with its chain, leaf first: a PEM file. May be given several times: a device gets the one that has the name it asks for (SNI), else one for its whole domain (*.example.org), else the first."`
	TLSKey         []string `name:"tls-key" type:"path" placeholder:"FILE" help:"Key of --tls-cert: a PEM file that others cannot read. One for each of them, in the same order."`
	TLSRecords     string   `name:"tls-records" default:"std" enum:"std,own" help:"What serves TLS 1.3 after the handshake: the standard library (std), or edgeloop's own record layer (own), which holds an idle connection in far less memory."`
	TLSMinVersion  string   `name:"tls-min-version" default:"1.2" enum:"1.2,1.3" help:"Lowest version of TLS that is spoken."`
	TLSClientAuth  string   `name:"tls-client-auth" default:"none" enum:"none,optional,required" help:"Whether devices present a certificate of --tls-client-ca."`
	TLSClientCA    string   `name:"tls-client-ca" default:"" type:"path" help:"Authorities that sign the certificates of devices: a PEM file."`
	TLSCRL         []string `name:"tls-crl" type:"path" placeholder:"FILE" help:"Lists of revoked certificates, signed by --tls-client-ca: PEM or DER files. May be given several times."`
	TLSIdentity    string   `name:"tls-identity" default:"{cn}" help:"Device that a certificate stands for: text with {cn}, {o}, {ou}, {san.dns}, {san.email}, {san.uri} or {san.uri.last}."`
	TLSTenant      string   `name:"tls-tenant" default:"default" help:"Tenant that a certificate stands for, in the same form as --tls-identity."`
	TLSURIPrefix   string   `name:"tls-uri-prefix" default:"" placeholder:"URI" help:"Beginning of the URIs that {san.uri} and {san.uri.last} mean, as in spiffe://example.org/device/: the trust domain of devices. The node ignores others. Default: all count."`
	TLSTickets     string   `name:"tls-ticket-keys" default:"" type:"path" help:"Keys of session tickets that nodes share: lines of 32 bytes in base64, the one that seals first, in a file that others cannot read; default keys of the node's own, made anew every 12h."`
	ProxyProtocol  []string `placeholder:"NETWORK" help:"Networks of proxies whose connections begin with a PROXY header (version 1 or 2), which names the client; separated by commas. The node reads no header from others, and refuses a connection from these without one."`
	TrustedProxies []string `placeholder:"NETWORK" help:"Networks of proxies that name the client of a request in X-Forwarded-For or Forwarded; separated by commas. Without it these fields mean nothing."`
	AllowCIDRs     string   `name:"allow-cidrs" default:"" type:"path" placeholder:"FILE" help:"Networks whose devices may connect, and nobody else: a file with a network or an address a line, # begins a comment. It is read again when it changes."`
	DenyCIDRs      string   `name:"deny-cidrs" default:"" type:"path" placeholder:"FILE" help:"Networks whose devices may not connect: a file like that of --allow-cidrs. Of all networks that an address is in the smallest decides; one that is in both files is denied."`
	adminFlags
	GRPCListen     string `name:"grpc-listen" default:"" placeholder:"ADDRESS" help:"Address of the gRPC services for programs, host:port; default none."`
	GRPCCert       string `name:"grpc-cert" default:"" type:"path" help:"Certificate of --grpc-listen with its chain, leaf first: a PEM file. Without it there is no TLS."`
	GRPCKey        string `name:"grpc-key" default:"" type:"path" help:"Key of --grpc-cert: a PEM file that others cannot read."`
	GRPCRemote     bool   `name:"grpc-remote" default:"false" help:"Allow --grpc-listen without TLS on an address that others can reach; admin tokens then cross the network in the clear."`
	DataDir        string `default:"${data_dir}" type:"path" help:"Directory of the log, the secrets and the admin token; created if missing."`
	Node           string `default:"" help:"Name of this node, unique among the nodes on --nats-url; default the host name."`
	EventLoops     int    `default:"0" help:"Event loops; 0 is one for each core."`
	MaxConnections int    `default:"0" help:"Devices of the node, of all tenants, before newcomers are answered 503 (connects a minute: --max-connects-...; devices of one tenant: tenants in the configuration file); 0 is what the descriptors allow, at most 100000."`
	FDLimit        uint64 `name:"fd-limit" default:"0" help:"Descriptor limit to ask the system for; 0 is the hard limit."`
	FDReserve      int    `name:"fd-reserve" default:"512" help:"Descriptors reserved for the log, the admin API and the node itself."`

	PoolSize           int   `default:"16" help:"Workers that handle messages."`
	AuthPoolSize       int   `default:"4" help:"Workers that check handshakes."`
	TLSWorkers         int   `name:"tls-workers" default:"0" help:"Workers that make TLS handshakes; 0 is half of the cores, which leaves the other half to the connected devices in a storm."`
	Lanes              int   `default:"64" help:"Queues between event loops and workers; a device always uses the same one."`
	LaneDepth          int   `default:"1024" help:"Reads that may wait in one lane before its devices are held back."`
	InflightBytes      int64 `type:"size" default:"256MiB" help:"Memory that messages between socket and log may take before devices are held back; a quarter above it, connections that would take more are closed with 1013."`
	MaxMessage         int   `type:"size" default:"64KiB" help:"Largest message; a larger one closes with 1009."`
	MaxHandshakes      int   `default:"512" help:"Handshakes at a time, and refused sockets that have not hung up; more wait in the backlog, so that a storm does not slow connected devices."`
	MaxPerAddress      int   `name:"max-handshakes-per-address" default:"0" help:"Sockets of one address without a complete request; beyond this number they give way sooner when newcomers wait: after 250 ms instead of 1 s, and while there is still no room both times halve, down to a sixteenth. Those in a TLS handshake give way after 250 ms, or after what a worker needs for twice as many handshakes if that is longer. 0 is an eighth of --max-handshakes."`
	ConnectsPerAddress int64 `name:"max-connects-per-address" default:"0" help:"Connects a minute of one address, of which a sixth may come at once; above, 503. Devices behind one address share it. 0 is no limit."`
	ConnectsPerPrefix  int64 `name:"max-connects-per-prefix" default:"0" help:"The same of one network: the first --prefix-bits-4 bits of an IPv4 address, the first --prefix-bits-6 of an IPv6 address."`
	ConnectsPerDevice  int64 `name:"max-connects-per-device" default:"0" help:"The same of one device, once its token or certificate has said which."`
	ConnectsPerTenant  int64 `name:"max-connects-per-tenant" default:"0" help:"The same of all devices of a tenant: how many connect in a minute. Its quota max-connections, under tenants in the configuration file, bounds how many are connected at a time."`
	ConnectsPerNode    int64 `name:"max-connects-per-node" default:"0" help:"The same of all devices."`
	PrefixBits4        int   `name:"prefix-bits-4" default:"24" help:"Bits of an IPv4 address that say in which network it is."`
	PrefixBits6        int   `name:"prefix-bits-6" default:"64" help:"Bits of an IPv6 address that say in which network it is."`
	Window             int   `default:"64" help:"Messages of one device that may be unacknowledged."`
	WindowBytes        int64 `type:"size" default:"256KiB" help:"Bytes of one device that may be unacknowledged; one message may exceed it."`
	MaxRateBytes       int64 `type:"size" default:"0" help:"Bytes a second that a device may send; above it, reading from the device pauses. A second's worth may come at once. 0 is no limit."`
	MaxRateMsgs        int64 `name:"max-rate-messages" default:"0" help:"The same for messages. 0 is no limit."`
	MaxSeqJump         int64 `name:"max-sequence-jump" default:"4503599627370496" help:"How far a sequence may be above the device's last one. A higher one is refused: the device could never send the sequences in between. The default, 2^52, lets devices number by microseconds of the clock; where they count, give a few million."`
	SocketBuffer       int   `type:"size" default:"128KiB" help:"Kernel buffer of one connection in each direction; the kernel takes up to twice that. 0 leaves it to the kernel."`
	OutBuffer          int   `type:"size" default:"256KiB" help:"Bytes that may wait for a device that does not read before it is cut off."`
	Compression        bool  `default:"false" help:"Negotiate permessage-deflate: costs CPU and memory for each message."`
	FreeTakeovers      int   `default:"5" help:"Takeovers of a device from itself before it is held back, with delays that grow to 32 s; every half minute one is forgiven."`
	RememberedMost     int   `name:"max-remembered" default:"1000000" help:"Devices remembered after they left."`

	BanFailures int           `name:"ban-failures" default:"0" help:"How often an address may fail to prove who it is within --ban-window, including failed TLS handshakes, before it is kept out at the accept: for 1s, then twice as long each time. An address from which devices got in lately is kept out for at most 10s. 0 is never."`
	BanWindow   time.Duration `name:"ban-window" default:"1m" help:"Time in which the failures of --ban-failures count."`
	BanMost     time.Duration `name:"ban-most" default:"1h" help:"Longest time that an address is kept out; each sixth of it without a failure undoes one doubling."`

	Heartbeat        time.Duration `default:"30s" help:"Silence after which a device is pinged."`
	IdleTimeout      time.Duration `default:"60s" help:"Silence after which a device is evicted with 4408."`
	SendTimeout      time.Duration `default:"60s" help:"Time without any progress in sending to a device, after which its connection is ended."`
	HandshakeTimeout time.Duration `default:"10s" help:"Time from accept to the answered handshake."`
	DrainWindow      time.Duration `default:"10s" help:"Time over which a drain spreads its closes."`
	RetryAfter       time.Duration `default:"5s" help:"Delay given to devices that are refused or sent away; each gets between this and twice this."`

	Auth string `default:"jwt" enum:"jwt,cert,none" help:"How devices prove who they are: jwt, a token (and their certificate, where they have one, is for the same device); cert, a certificate or a token; or none (anyone may be any device)."`
	keyFlags
	AllowedOrigins []string      `placeholder:"ORIGIN" help:"Sites whose pages may connect without a token, with --auth=none or by the certificate of the browser: SCHEME://HOST[:PORT], separated by commas, or * for all. The node's own IP address is always allowed, so are localhost and devices that send no Origin; a name of the node has to be given here."`
	TokenAudience  []string      `aliases:"jwt-audience" placeholder:"NAME" help:"Name of this node in the claim aud of tokens, which must have one of those given; may be repeated. Without it, tokens that have an aud are for others, and refused. On the command line also --jwt-audience."`
	TokenIssuer    []string      `aliases:"jwt-issuer" placeholder:"NAME" help:"Issuer whose tokens the node takes; their claim iss must then have this name. May be repeated. Default: whoever has the key. On the command line also --jwt-issuer."`
	TokenLeeway    time.Duration `aliases:"jwt-leeway" default:"0s" help:"How far clocks may differ: the node takes a token this long before its nbf and after its exp. On the command line also --jwt-leeway."`
	TokenCache     int           `default:"131072" help:"Number of ES256, EdDSA and RS256 tokens that are remembered, so that a reconnect costs no signature check."`
	NATSURL        string        `name:"nats-url" default:"" help:"External NATS server with JetStream; default is the embedded one. All nodes that use the server share its log: the --log flags count when this node creates it; later, edgeloop log set changes it."`
	natsFlags
	Durability    string        `default:"power" enum:"power,process" help:"When a message is acknowledged: synced to disk (power), or written (process: a loss of power loses the last second). With --nats-url the servers decide: power needs sync_interval: always on each of them, or three replicas."`
	CommitEvery   time.Duration `name:"commit-interval" default:"4ms" help:"Minimum time between two syncs of the log, so that messages of a moderate load share them; acknowledgements come later by up to this. 0 syncs as often as possible."`
	LogMaxBytes   int64         `type:"size-or-none" default:"auto" help:"Size of the log, 16MiB or more, or none for as large as the disk; auto keeps an existing setting, and gives a new log half of its disk."`
	LogMaxAge     time.Duration `type:"age-or-none" default:"auto" help:"Age after which records leave the log, 1m or more, or none to keep them; auto keeps an existing setting; a new log keeps its records."`
	WhenFull      string        `default:"auto" enum:"auto,drop-oldest,stop" help:"What a log of --log-max-bytes does: forget the oldest, or hold devices back; auto keeps an existing setting, and a new log forgets."`
	LogReplicas   int           `default:"0" help:"Servers of a NATS cluster that have the log, if this node creates it; 0 is one. Later, use edgeloop log set."`
	OnDamage      string        `default:"unready" enum:"unready,stop,serve" help:"What to do with a damaged log before an operator has decided: run but not be ready (unready), not start (stop), or run and be ready, which is the decision (serve)."`
	Events        []string      `placeholder:"EVENT" help:"Events of devices to keep in the log, as records of these types: connected, disconnected, refused, banned; separated by commas. Default none."`
	EventRate     int           `default:"5000" help:"Events a second that are kept, in the long run; ten seconds' worth may come at once. Events beyond that make no record, and are counted."`
	CommandMaxAge time.Duration `type:"age" default:"7d" help:"Longest time to live of a command for an absent device."`

	// Sinks, sources of commands, and where presence is kept, are in the configuration file alone.
	Sinks    []any `kong:"-"`
	Commands []any `kong:"-"`
	Presence []any `kong:"-"`
	// So are the quotas of tenants, by their names.
	Tenants map[string]any `kong:"-"`

	LogLevel  string `default:"info" enum:"debug,info,warn,error" help:"What is logged."`
	LogFormat string `default:"text" enum:"text,json" help:"How it is logged."`
}

// Run runs the node until a signal, or until a part of it fails.
func (s *serveCmd) Run(io *streams) error {
	log, err := newLogging(s.LogLevel, s.LogFormat, io.err)
	if err != nil {
		return usageError{err}
	}
	defer log.out.Close()
	// A crash ends by a signal: exit code 2, Go's own for it, says that a setting is
	// wrong, and no service manager would start the node again.
	debug.SetTraceback("crash")
	noCore(log.Logger)
	v := supervise(log, s.DrainWindow)
	defer v.release()
	ended := make(chan error, 1)
	go func() { ended <- s.live(log, v, io.args) }()
	return v.await(ended)
}

// live is the whole life of a node. What hangs in it is left to the supervisor.
func (s *serveCmd) live(log *logging, v *supervisor, args []string) error {
	given, err := readSettings(args)
	if err != nil {
		return usageError{err}
	}
	if err := s.plan(log.Logger); err != nil {
		return usageError{err}
	}
	n := newNode(s, log, v)
	n.args = args
	if n.handedOver, err = takeHandedOver(s.doors()); err != nil {
		return usageError{err}
	}
	n.told.Store(&inForce{given: given, byHand: map[string]int64{}})
	started, err := n.start()
	if err != nil || !started {
		return err
	}
	for {
		select {
		case <-v.asked:
			return n.stop()
		case <-n.drainAsked():
			log.Info("draining on request, stops at the next signal")
			return n.drainThenWait()
		case err := <-n.failed:
			return n.fail(err)
		case <-v.reload:
			n.hangUp()
		}
	}
}
