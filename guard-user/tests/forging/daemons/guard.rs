//! guard's own log of dropped packets: of what a client sends, only numbers and his address stand in it.

use super::Daemon;

/// A port or a length, whatever was meant to be one.
fn number(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_digit).take(5).collect();
    if digits.is_empty() {
        b"0".to_vec()
    } else {
        digits
    }
}

pub(crate) const GUARD: Daemon = Daemon {
    filters: &["guard-portscan"],
    escape: number,
    is_trusted: true,
    lines: &[
        "Nov 28 10:57:25 srv guardctl[7]: [GUARD DROP] IN=eth0 OUT= SRC={addr} DST=192.0.2.1 LEN={74} PROTO=TCP SPT={51234} DPT={23} SYN REASON=default-drop",
        "guardctl daemon: info: [GUARD DROP] IN=eth0 OUT= SRC={addr} DST=192.0.2.1 LEN={74} PROTO=TCP SPT={51234} DPT={23} SYN REASON=rule-deny RULE=3",
        "guardctl daemon: info: [GUARD DROP] IN=eth0 OUT= SRC={addr} DST=192.0.2.1 LEN={74} PROTO=UDP SPT={53} DPT={4000} REASON=default-drop",
    ],
};
