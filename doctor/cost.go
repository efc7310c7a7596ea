package doctor

import "time"

// These constants are what a device costs. The figures are measured; docs/doctor.md says
// how, and what they leave out.
const (
	// socketBytes is the kernel's slab memory for one idle socket: at most 4.5 KB on
	// Linux 6.1, 4.9 KB on 6.18. It is the larger one with some reserve.
	socketBytes = 5_200
	// deviceBytes is the node's resident memory for one authenticated and registered
	// device while all get a broadcast or come back at once. Idle it is about 900 B.
	deviceBytes = 2_000
	// logIndexBytes is the log's index of one device that ever sent.
	logIndexBytes = 145

	// nodeBytes is what a node takes without devices.
	nodeBytes = 64 << 20
	// inflightBytes is the default of --inflight-bytes: messages on their way.
	inflightBytes = 256 << 20

	// bufferPages is the TCP buffer memory of a device in traffic: one page in and one
	// out. An idle device has none.
	bufferPages = 2
	pageBytes   = 4 << 10

	// nodeThreads is what the runtime, the event loops and the log need, and
	// threadsPerCore what each core adds.
	nodeThreads    = 32
	threadsPerCore = 2

	// In a storm all devices come back, spread over stormSpread (the default of
	// --retry-after). The accepting loop may be busy for acceptPause: the devices of
	// that time wait in the backlog at once.
	stormSpread = 5 * time.Second
	acceptPause = 100 * time.Millisecond

	// Traffic: each device sends one message in each messageEvery, each takes
	// recordBytes in the log, and the log should last for logKept.
	messageEvery = time.Minute
	recordBytes  = 400
	logKept      = 24 * time.Hour
	// batchMessages is how many messages one sync of the log covers.
	batchMessages = 1_000
	// coreMessages is how many messages one core takes from socket to log in a second.
	coreMessages = 80_000
)

// memoryPerDevice is a device's share of this machine's memory.
const memoryPerDevice = socketBytes + deviceBytes + logIndexBytes

// stormFactor is how many devices one place in the backlog serves.
const stormFactor = int64(stormSpread / acceptPause)

// Costs are the constants of the arithmetic, as in the JSON report.
type Costs struct {
	SocketBytes        int64 `json:"kernel_bytes_per_device"`
	DeviceBytes        int64 `json:"node_bytes_per_device"`
	LogIndexBytes      int64 `json:"log_index_bytes_per_device"`
	NodeBytes          int64 `json:"node_bytes"`
	InflightBytes      int64 `json:"inflight_bytes"`
	BufferPages        int64 `json:"tcp_pages_per_device"`
	StormFactor        int64 `json:"devices_per_backlog_place"`
	RecordBytes        int64 `json:"log_bytes_per_message"`
	MessagesPerSync    int64 `json:"messages_per_sync"`
	MessagesPerCore    int64 `json:"messages_per_core_second"`
	SecondsPerMessage  int64 `json:"seconds_between_messages"`
	SecondsOfLog       int64 `json:"seconds_of_log"`
	DescriptorsOfOwn   int64 `json:"descriptors_of_the_node"`
	ThreadsOfTheNode   int64 `json:"threads_of_the_node"`
	MemoryPerDeviceSum int64 `json:"memory_bytes_per_device"`
}

func (e *exam) costs() Costs {
	return Costs{
		SocketBytes: socketBytes, DeviceBytes: deviceBytes, LogIndexBytes: logIndexBytes,
		NodeBytes: nodeBytes, InflightBytes: inflightBytes, BufferPages: bufferPages,
		StormFactor: stormFactor, RecordBytes: recordBytes, MessagesPerSync: batchMessages,
		MessagesPerCore:   coreMessages,
		SecondsPerMessage: int64(messageEvery.Seconds()), SecondsOfLog: int64(logKept.Seconds()),
		DescriptorsOfOwn: int64(e.cfg.OwnDescriptors), ThreadsOfTheNode: e.threads(),
		MemoryPerDeviceSum: memoryPerDevice,
	}
}
