//! What `--help` says below the options.

/// Of `guardctl`.
pub(super) const EXAMPLES: &str = "\
Examples:
  guardctl allow 22/tcp                     open a port
  guardctl allow http                       the same by name
  guardctl limit ssh                        the same for 6 new connections per source in 30 s
  guardctl allow 1.1.1.1 9000               one address to one port
  guardctl allow from 10.0.0.0/8 to any port 5432 proto tcp comment 'db'
  guardctl allow me 22 --for 1h             from where you are logged in, for an hour
  guardctl deny from 203.0.113.0/24         close everything to a network
  guardctl enable --confirm 60s             turn it on (allow your SSH first), off again in 60 s
  guardctl confirm                          unless you confirm
  guardctl status numbered                  what is in force
  guardctl delete 2                         by number
  guardctl stats --watch                    what is dropped, port by port
  guardctl ban 203.0.113.7 --for 1d         shut a source out, open sessions included
  guardctl jail enable nginx-http-auth      ban sources that fail to log in there, as for sshd
  guardctl jail set sshd bantime 1h         instead of 10 minutes

Exit codes: 0 ok, 1 failed, 2 usage, 3 inactive, 4 not permitted, 5 bad configuration, 6 not found, 7 refused \
(would lock out, protected address), 8 partly done or unprotected, 9 kernel or driver cannot, 10 foreign XDP \
program, 11 state of another version, 12 the daemon does not answer, 13 no BPF file system, 14 a change is pending.

Folders: GUARD_ETC (/etc/guard), GUARD_STATE (/var/lib/guard), GUARD_RUN (/run/guard), GUARD_BPFFS \
(/sys/fs/bpf/guard), GUARD_UNITS (/etc/systemd/system).";

/// Of commands that take a rule.
pub(super) const GRAMMAR: &str = "\
Rules, as ufw writes them:
  PORT[/PROTO]            22, 22/tcp, 80,443/tcp, 6000:6007/udp, http, ssh/tcp
  ADDRESS [PORT[/PROTO]]  1.1.1.1 9000, 10.0.0.0/8, @office ssh   (source, then port)
  [in] [on IFACE] [proto P] [from ADDRESS] [to ADDRESS] [port PORT] [comment 'TEXT']
  --for 10m, --until 2026-12-01T12:00:00Z
                          the rule ends then, and is removed
  --name NAME --tag TAG   what commands call the rule: `delete NAME`, `list --tag TAG`
  ping                    echo requests; proto gre, proto 47: any IP protocol
  icmp type TYPE          one message of ICMP: time-exceeded, timestamp-request, 0-255; icmpv6 type TYPE
A port without a protocol means tcp and udp. ADDRESS: address, prefix, any, @set, or a
name such as home.example.org.";

/// Of `limit`.
pub(super) const LIMIT: &str = "\
Rules, as for `allow`, with
  rate N/TIME             20/s, 6/30s, 100/min, 10/h; from 1/h to 5000/s. Default: 6/30s
  packets N/TIME          the same of packets, also those of sessions, instead of new connections
  burst N                 how many at once, after a pause. Default: the N of the rate
  block TIME              with packets of a TCP port: who exceeds it is let in no more for 1s to 24h
  on-excess 'ban TIME'    the same from 1000/s on: who sends twice as many is banned, by the daemon

Limits apply to TCP and UDP ports. A source is an IPv4 address or an IPv6 /64 ([limits] ipv4-prefix and \
ipv6-prefix in guard.toml). New TCP connections (SYNs) and new UDP conversations are counted (a source and \
port that was silent for 30 s, 3 min if it was answered); open sessions are not touched, unless packets are \
counted, and nobody is banned without on-excess. Sources on the never list have no limit. [limits] ceiling is something else: it bounds the new \
connections of all sources together to a port that no program of this host listens on.

Examples: limit ssh    limit 80/tcp rate 20/s burst 40    limit from 10.0.0.0/8 to any port 22";

/// Of `monitor`.
pub(super) const MONITOR: &str = "\
The first packet of a network, a port and a reason is a line of its own; the others of that second are one number, \
which is that of the counters. Without --reason, packets that pass are left out unless --all asks for them. \
Watching costs the filter next to nothing: at most 2000 packets per second and CPU are reported.

Examples: monitor    monitor --port 22 --for 1m    monitor --from 203.0.113.0/24 --json    monitor --reason limited";

/// Of `capture`.
pub(super) const CAPTURE: &str = "\
Dropped packets never reach tcpdump: XDP drops them before. Each packet has the interface, the time in ns, the queue, \
what XDP did and why: `guard: drop default-drop`, `guard: drop rule-deny rule 3`. Packets that come faster than they \
are written are lost, counted and said. A capture reports every packet, which costs the filter some 100 ns for each: \
under a flood name a port, a count or a time.

Examples: capture -w drops.pcapng --for 1m
          capture -w - --port 22 | tshark -r - -Y 'frame.comment contains \"default-drop\"'
          capture -w all.pcapng --all --from 203.0.113.7 --count 1000";

/// Of `explain`.
pub(super) const EXPLAIN: &str = "\
Packets:
  ADDRESS PORT[/PROTO]    203.0.113.7 22, 203.0.113.7 53/udp, 203.0.113.7 ping
  from ADDRESS [port N] [to ADDRESS] [port N] [proto P] [type ICMP-TYPE] [on IFACE] [flags syn,ack]
Without `to` it is sent to this host, without `proto` it is TCP, without `flags` a SYN.";

/// Below `setup --help`.
pub(super) const SETUP: &str = "\
Asks who may log in, and which of the ports that are in use strangers may reach; shows the policy in words and as a \
file, and puts it in force, as `enable` does: over SSH it undoes itself after 60 seconds unless you confirm it. \
Where ufw or firewalld is on, it offers to take their rules over. --yes takes the proposal: their rules, or else SSH \
for everybody, and web servers. --dry-run shows it. Exits 7 where there is a policy \
already.";

/// Below `verify --help`.
pub(super) const VERIFY: &str = "\
Without --from it shows what to run on another machine, and what should come of it. With --from it runs a small \
script there (ssh HOST sh -s; nothing is installed), which tries every port that is listened on here, and one that is \
not. Exits 8 if something is reachable that the policy closes, or not reachable although the policy opens it.";
