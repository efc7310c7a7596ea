package scenarios

import (
	"time"

	"edgeloop/bench/fault/life"
)

const ms = time.Millisecond

// All returns every scenario, in the order in which they run.
func All() []life.Scenario {
	return append([]life.Scenario{
		{Name: "kill", About: "kill -9 under load, at start-up, in the drain, in a takeover, in a storm", Act: actKill},
		{Name: "torn", About: "kill -9, and bytes behind the log as a write under way leaves them", Act: actTorn},
		{Name: "truncate", About: "the end of the synced log is cut off: only the end may be missing", Devices: 50, Act: actTruncate, Alone: true},
		{Name: "damage", About: "bits flip, blocks are cut, emptied and gone, an older copy is restored, the stream is gone: each is said", Devices: 50, Act: actDamage, Alone: true},
		{Name: "backup", About: "the node is backed up under load, killed, and restored to an empty directory", Devices: 50, Act: actBackup, Alone: true},
		{Name: "power", About: "the disk loses what was not synced (an ext4 image; needs root)", Rounds: 4, Setup: setupPower, Act: actPower},
		{Name: "stop", About: "SIGSTOP, once for longer than devices wait", Rounds: 4, Pace: 5 * ms, Act: actStop},
		{Name: "drain", About: "SIGTERM under load, and a new start", Rounds: 4, Act: actDrain},
		{Name: "takeover", About: "all devices connect again while their old sockets are open", Flags: []string{"--free-takeovers=1000000"}, Act: actTakeover},
		{Name: "storm", About: "all devices are cut at once, also in mid-handshake", Act: actStorm},
		{Name: "forget", About: "a storm of more devices than the node may remember", Devices: 2500, Rounds: 3, Flags: []string{"--max-remembered=1000"}, Act: actStorm},
		{Name: "flap", About: "a fifth of the devices is cut every 50 ms", Rounds: 4, Flags: []string{"--free-takeovers=1000000"}, Act: actFlap},
		{Name: "upstream", About: "external NATS slow, deaf, unreachable, killed (needs nats-server)", Rounds: 7, Setup: setupUpstream, Act: actUpstream},
		sinks(),
		sinksLog(),
		commandsIn(),
		mqttScenario(),
		{Name: "full", About: "the disk is full, filled by others and by the log (needs root)", Rounds: 3, Padding: 400, Flags: []string{"--log-max-bytes=none"}, Setup: onTmpfs("700m"), Act: actFull},
		{Name: "read-only", About: "the data directory cannot be written (needs root)", Rounds: 2, Setup: onTmpfs("1g"), Act: actReadOnly},
		{Name: "weather", About: "loss, delay, reordering, partition between namespaces (needs root)", Rounds: 5, Devices: 100, Pace: 5 * ms, Setup: setupWeather, Act: actWeather},
		{Name: "vanish", About: "devices vanish without FIN: half-open sockets (needs root)", Rounds: 4, Devices: 100, Pace: 5 * ms, Flags: []string{"--heartbeat=1s", "--idle-timeout=3s"}, Setup: setupWeather, Act: actVanish},
		{Name: "slow", About: "devices that never read ask for answers", Devices: 100, Pace: 20 * ms, Act: ActSlow},
		{Name: "slowloris", About: "handshakes that never end", Devices: 100, Pace: 20 * ms, Flags: []string{"--handshake-timeout=2s"}, Act: ActSlowloris},
		{Name: "flood", About: "tiny frames, pings, fragments as fast as they go", Devices: 100, Pace: 20 * ms, Act: ActFlood},
		{Name: "descriptors", About: "1500 idle peers at a node with 1024 descriptors", Devices: 200, Rounds: 3, Pace: 20 * ms, Setup: fewDescriptors, Act: ActDescriptors},
		{Name: "leak", About: "all devices leave and come back, again and again; nothing may be left (needs root)", Tick: time.Second, Pace: 5 * time.Second, Setup: setupLeak, Act: actLeak},
		{Name: "rlimit", About: "the running node may have fewer descriptors than it holds (needs root)", Rounds: 4, Padding: 400, Act: actRlimit},
		{Name: "frozen", About: "the disk takes no write and no sync for seconds (an ext4 image; needs root)", Rounds: 3, Patience: time.Minute, Setup: setupPower, Act: actFrozen},
		{Name: "slow-disk", About: "the disk takes few bytes, or few writes, a second (an ext4 image and a control group; needs root)", Rounds: 2, Padding: 400, Patience: time.Minute, Setup: setupSlowDisk, Act: actSlowDisk},
		{Name: "clock", About: "the clock jumps by an hour and by ten years, both ways (sets the machine's clock: scripts/guest/clock.sh)", Rounds: 6, Pace: 200 * ms, Setup: setupClock, Act: actClock, Open: true},
		{Name: "move", About: "devices move between two sound nodes on one NATS (needs nats-server)", Devices: 100, Pace: 5 * ms, Setup: setupCluster, Act: actMove},
		{Name: "cluster", About: "the same while either node, or its way to the log, fails (needs nats-server)", Rounds: 7, Devices: 100, Pace: 5 * ms, Setup: setupCluster, Act: actCluster},
		{Name: "memory", About: "large messages and storms in a control group of 192 MiB (needs root)", Devices: 200, Rounds: 4, Padding: 4000, Setup: setupMemory, Act: actMemory, NoResources: true},
		{Name: "strangers", About: "thousands of bad tokens with bytes behind them, at 16 keys", Devices: life.Controls, Pace: life.ControlPace, Control: true, Setup: setupStrangers, Act: actStrangers},
		{Name: "silent", About: "2,000 silent connections a second at a node with 3,000 descriptors", Devices: life.Controls, Pace: life.ControlPace, Control: true, Flags: []string{"--fd-limit=3000"}, Act: actSilent},
		{Name: "greedy", About: "one device, twenty and a thousand send as much as they can", Devices: life.Controls, Pace: life.ControlPace, Control: true, Act: actGreedy},
		{Name: "held", About: "100 devices with the largest messages at a node with 1 GiB and GOMEMLIMIT as documented (needs root)", Devices: life.Controls, Pace: life.ControlPace, Control: true, NoResources: true, Setup: setupGiB, Act: actHeld},
		{Name: "inflate", About: "200 devices whose few bytes inflate to a gigabyte, at the same node (needs root)", Devices: life.Controls, Pace: life.ControlPace, Control: true, NoResources: true, Flags: []string{"--compression"}, Setup: setupGiB, Act: actInflate},
		{Name: "partial", About: "300 devices begin messages of 4 MiB and never end them, at the same node (needs root)", Devices: life.Controls, Pace: life.ControlPace, Control: true, NoResources: true, Flags: []string{"--max-message=4194304"}, Setup: setupGiB, Act: actPartial},
		{Name: "suspend", About: "SIGSTOP for longer than devices may be silent, and a shorter idle timeout while the node runs", Devices: life.Controls, Pace: 200 * ms, Patience: 30 * time.Second, Flags: []string{"--heartbeat=2s", "--idle-timeout=3s"}, Act: actSuspend},
		{Name: "readers", About: "readers of a large log while 900 devices return", Devices: life.Controls, Pace: life.ControlPace, Control: true, Act: actReaders},
		{Name: "reload", About: "thousands of devices come at once to a node that was started over a large log, with 512 MiB and GOMEMLIMIT as documented (needs root)", Devices: life.Controls, Pace: life.ControlPace, Control: true, NoResources: true, Act: actReload},
		{Name: "log-reader", About: "who reads the node's log stops reading, and goes away", Devices: life.Controls, Pace: life.ControlPace, Control: true, Flags: []string{"--log-level=debug"}, Act: actLogReader},
		{Name: "no-answer", About: "SIGTERM while the external NATS is silent, once and twice, also at the start (needs nats-server)", Devices: life.Controls, Pace: life.ControlPace, Setup: setupUpstream, Act: actNoAnswer},
		overloadScenario(),
		{Name: "tug", About: "two connections of one device take over from each other", Devices: life.Controls, Pace: life.ControlPace, Control: true, Act: actTug},
	}, Attacks()...)
}

// Named finds a scenario.
func Named(name string) (life.Scenario, bool) {
	for _, s := range All() {
		if s.Name == name {
			return s, true
		}
	}
	return life.Scenario{}, false
}
