//! What members say, honest ones and others, as bytes of NATS.

use std::net::IpAddr;

use guard_tests::lab::NatsClient;

/// What an honest member sends with each record.
pub(crate) const END: &[u8] = b"NATS/1.0\r\nNats-TTL: 600s\r\n\r\n";

/// Headers of these lines.
pub(crate) fn headers(lines: &[&str]) -> Vec<u8> {
    format!("NATS/1.0\r\n{}\r\n\r\n", lines.join("\r\n")).into_bytes()
}

/// The key of an address or a network.
pub(crate) fn key(address: IpAddr, length: u8) -> String {
    match address {
        IpAddr::V4(v4) => format!("4-{:08x}-{length}", v4.to_bits()),
        IpAddr::V6(v6) => format!("6-{:032x}-{length}", v6.to_bits()),
    }
}

/// A record.
pub(crate) fn record(id: u64, left: u64) -> String {
    format!("{{\"v\":1,\"id\":{id},\"left\":{left},\"reason\":\"jail sshd: 5 failures\"}}")
}

/// An honest ban of an address.
pub(crate) fn ban(client: &mut NatsClient, member: &str, address: IpAddr, left: u64) {
    let subject = format!("$KV.guard.ban.{member}.{}", key(address, 32));
    let answer = client.ask(&subject, END, record(1, left).as_bytes());
    let answer = answer.expect("an answer").json();
    assert!(answer.get("error").is_none(), "{answer}");
}

/// Has the server send what stands at a place of one's own in the stream to wherever one wants.
pub(crate) fn have_answered(evil: &mut NatsClient, own: &str, to: &str) {
    for more in ["", ",\"no_hdr\":true"] {
        let ask = format!("{{\"last_by_subj\":\"{own}\"{more}}}");
        evil.publish("$JS.API.DIRECT.GET.KV_guard", to, b"", ask.as_bytes());
    }
    let ask = format!("{{\"seq\":1,\"next_by_subj\":\"{own}\",\"batch\":5}}");
    evil.publish("$JS.API.DIRECT.GET.KV_guard", to, b"", ask.as_bytes());
    let ask = format!("{{\"last_by_subj\":\"{own}\"}}");
    evil.publish("$JS.API.STREAM.MSG.GET.KV_guard", to, b"", ask.as_bytes());
    assert!(evil.complaints().is_empty());
}

/// An IPv4 address of nobody here.
pub(crate) fn nobody(n: u32) -> IpAddr {
    std::net::Ipv4Addr::from(0x0b00_0000 + n).into()
}
