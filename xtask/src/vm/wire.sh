#!/bin/sh
# Two NICs of the guest on one emulated wire, each in a network namespace of its own: what guard does in the
# driver, as a peer sees it.
set -e
fail() {
    echo "wire: $1"
    exit 1
}
unshare -n sleep 3600 &
peer=$!
sleep 1
on_peer() { nsenter -t $peer -n "$@"; }
# Not wget: Debian's static one for arm64 looks names up and crashes.
answers() { printf 'GET / HTTP/1.0\r\n\r\n' | on_peer nc -w 5 192.0.2.1 "$1" | grep -q hello; }

ip link set eth1 netns $peer
on_peer ip address add 192.0.2.2/24 dev eth1
on_peer ip link set eth1 up
ip address add 192.0.2.1/24 dev eth0
ip link set eth0 up
mkdir -p /www
echo hello >/www/index.html
httpd -p 80 -h /www
httpd -p 81 -h /www
tries=0
until answers 81; do
    tries=$((tries + 1))
    [ $tries -lt 10 ] || fail "nothing answers without guard"
done

guardctl --yes allow 80/tcp
guardctl --yes enable --iface eth0
guardctl status | tee /tmp/status
grep -q native /tmp/status || fail "not in the driver"
answers 80 || fail "the open port is closed"
! answers 81 || fail "the closed port is open"
guardctl stats | tee /tmp/stats
grep -q default-drop /tmp/stats || fail "what was dropped is not counted"
guardctl --yes ban 192.0.2.2 --for 1h
! answers 80 || fail "the banned peer gets in"
guardctl --yes unban 192.0.2.2
answers 80 || fail "the peer stays banned"
guardctl --yes disable
answers 81 || fail "still filtered after disable"
kill $peer
echo "wire: ok"
