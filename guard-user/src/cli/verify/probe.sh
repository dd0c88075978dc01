# Run by `guardctl verify --from` on another machine: tries to reach each target and says what came back, one line
# each: PROTOCOL ADDRESS PORT RESULT SOURCE. It writes nothing to disk.
if command -v python3 >/dev/null 2>&1; then
    printf '%s\n' "$targets" | python3 -c '
import errno, socket, sys, threading
PATIENCE = 4
lock = threading.Lock()
gate = threading.Semaphore(32)
def result(protocol, family, address, port):
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    source = "-"
    try:
        with socket.socket(family, kind) as probe:
            probe.settimeout(PATIENCE)
            try:
                if protocol == "udp":
                    probe.connect((address, port))
                    source = probe.getsockname()[0]
                    probe.send(b"\0")
                    probe.recv(1)
                    return "answered", source
                with socket.socket(family, socket.SOCK_DGRAM) as asked:
                    asked.connect((address, port))
                    source = asked.getsockname()[0]
                probe.connect((address, port))
                return "open", source
            except socket.timeout:
                return "silence", source
    except OSError as error:
        if error.errno == errno.ECONNREFUSED:
            return "refused", source
        if error.errno == errno.ETIMEDOUT:
            return "silence", source
        return "unreachable", source
def probe(line):
    protocol, address, port = line.split()
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with gate:
        found, source = result(protocol, family, address, int(port))
    with lock:
        print(protocol, address, port, found, source, flush=True)
threads = [threading.Thread(target=probe, args=(line,)) for line in sys.stdin if line.strip()]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
'
elif command -v bash >/dev/null 2>&1 && command -v timeout >/dev/null 2>&1; then
    printf '%s\n' "$targets" | while read -r protocol address port; do
        found=unknown
        if [ "$protocol" = tcp ]; then
            timeout 4 bash -c "exec 3<>/dev/tcp/$address/$port" 2>/dev/null
            case $? in
                0) found=open ;;
                124) found=silence ;;
                *) found=refused ;;
            esac
        fi
        echo "$protocol $address $port $found -"
    done
else
    echo "neither python3 nor bash" >&2
    exit 127
fi
