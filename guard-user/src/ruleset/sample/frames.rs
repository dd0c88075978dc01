//! Random frames of every kind that the program tells apart: each recipe aims at some reasons, and
//! now and then a byte is flipped, so that what nobody thought of is there too.

use guard_common::{
    packet::TcpFlags,
    testing::{PacketBuilder, packet, peers::OWN, random::Random},
};

use super::Palette;

/// Shortest frame that the kernel accepts for a test run: an Ethernet header.
pub const MIN_FRAME: usize = 14;

/// Sources of random IPv4 packets.
pub const SOURCES_V4: [&str; 8] = [
    "10.1.2.3",
    "10.1.2.131",
    "10.1.3.9",
    "10.200.0.1",
    "11.1.1.1",
    "203.0.113.1",
    "198.51.100.7",
    "203.0.113.0",
];
/// Sources of random IPv6 packets.
pub const SOURCES_V6: [&str; 8] = [
    "2001:db8:0:1::3",
    "2001:db8:0:1::4",
    "2001:db8:8000::1",
    "2001:db8:1::1",
    "fd00::1",
    "fd00::2",
    "3fff::1",
    "fe80::7",
];
const MARTIANS_V4: [&str; 6] = [
    "0.0.0.0",
    "0.1.2.3",
    "127.0.0.1",
    "224.0.0.5",
    "240.0.0.1",
    "255.255.255.255",
];
const MARTIANS_V6: [&str; 4] = ["::", "::1", "ff02::1", "ff0e::9"];
const DESTINATIONS_V4: [&str; 4] = ["192.0.2.1", "192.0.2.2", "198.51.100.5", "224.0.0.1"];
const DESTINATIONS_V6: [&str; 4] = ["2001:db8:2::1", "2001:db8:2::2", "2001:db8:3::1", "ff02::1"];
const PADDING: [u8; 7] = [0, 1, 4, 0, 0, 0, 0];
const ROUTER_ALERT: [u8; 7] = [0, 5, 2, 0, 0, 1, 0];

/// One random frame of at least [`MIN_FRAME`] bytes.
pub fn random_frame(random: &mut Random, palette: &Palette) -> Vec<u8> {
    let mut frame = recipe(random, palette);
    if random.once_in(12) {
        let at = random.below(frame.len());
        frame[at] ^= 1 << random.below(8);
    }
    if random.once_in(40) {
        frame.truncate(random.below(frame.len()));
    }
    frame.resize(frame.len().max(MIN_FRAME), 0);
    frame
}

type Recipe = fn(&mut Random, &Palette) -> Vec<u8>;

const RECIPES: [Recipe; 22] = [
    transport, transport, transport, transport, icmp, protocol, link, neighbour, listener, members,
    address, bad_flags, bad_flags, tags, lengths, options, chain, fragment, fragment, fragment,
    source, noise,
];

fn recipe(random: &mut Random, palette: &Palette) -> Vec<u8> {
    let recipe = random.pick(&RECIPES);
    recipe(random, palette)
}

fn base(random: &mut Random) -> (PacketBuilder, bool) {
    let v4 = random.once_in(2);
    let mut base = if v4 {
        packet()
            .from(random.pick(&SOURCES_V4))
            .to(random.pick(&DESTINATIONS_V4))
    } else {
        packet()
            .from(random.pick(&SOURCES_V6))
            .to(random.pick(&DESTINATIONS_V6))
    };
    if random.once_in(8) {
        base = base.vlan(random.pick(&[0x8100, 0x88a8]));
    }
    (base, v4)
}

fn port(random: &mut Random, palette: &Palette) -> u16 {
    match random.below(4) {
        0 => random.number() as u16,
        1 => random.pick(palette.ports).wrapping_add(1),
        _ => random.pick(palette.ports),
    }
}

fn with_port(random: &mut Random, palette: &Palette, base: PacketBuilder) -> PacketBuilder {
    let port = port(random, palette);
    let flags = [
        TcpFlags::SYN,
        TcpFlags::ACK,
        TcpFlags::RST,
        TcpFlags::SYN | TcpFlags::ACK,
    ];
    match random.below(3) {
        0 => base.udp(port).payload(random.below(40)),
        _ => base.tcp(port, random.pick(&flags)).payload(random.below(3)),
    }
}

fn transport(random: &mut Random, palette: &Palette) -> Vec<u8> {
    let base = base(random).0;
    with_port(random, palette, base).build()
}

fn icmp(random: &mut Random, _: &Palette) -> Vec<u8> {
    let (base, v4) = base(random);
    let kinds: &[u8] = if v4 {
        &[0, 3, 5, 8, 11, 13]
    } else {
        &[1, 2, 128, 129, 137, 255]
    };
    base.icmp(random.pick(kinds), random.below(3) as u8).build()
}

fn protocol(random: &mut Random, palette: &Palette) -> Vec<u8> {
    let base = base(random).0;
    let number = if random.once_in(2) {
        random.pick(palette.protocols)
    } else {
        random.number() as u8
    };
    let bytes: [u8; 24] = random.bytes();
    base.protocol(number, &bytes[..random.below(25)]).build()
}

fn link(random: &mut Random, _: &Palette) -> Vec<u8> {
    let base = base(random).0;
    let known = [0x0806, 0x8809, 0x88cc, 0x888e];
    if random.once_in(5) {
        return bridge(random);
    }
    let number = if random.once_in(5) {
        random.number() as u16
    } else {
        random.pick(&known)
    };
    base.ether_type(number).build()
}

/// A bridge protocol data unit, or nearly.
fn bridge(random: &mut Random) -> Vec<u8> {
    let to = [0x01, 0x80, 0xc2, 0, 0, random.pick(&[0, 0, 0, 1])];
    let len = random.pick(&[38, 38, 38, 0x600u16]).to_be_bytes();
    let control = random.pick(&[[0x42, 0x42, 3], [0x42, 0x42, 3], [0xaa, 0xaa, 3]]);
    let head = [&to[..], &[2, 0, 0, 0, 0, 2], &len, &control].concat();
    [head, vec![0; 43]].concat()
}

fn neighbour(random: &mut Random, _: &Palette) -> Vec<u8> {
    let source = random.pick(&["fe80::1", "::", "2001:db8::5"]);
    let frame = packet().from(source).to("ff02::1");
    let frame = frame.icmp(133 + random.below(5) as u8, 0).payload(16);
    match random.below(4) {
        0 => frame.hop_limit(random.number() as u8),
        1 => frame.hop_limit(255).extension(60, &PADDING),
        _ => frame.hop_limit(255),
    }
    .build()
}

fn listener(random: &mut Random, _: &Palette) -> Vec<u8> {
    let source = random.pick(&["fe80::1", "::", "2001:db8::5"]);
    let frame = packet().from(source).to("ff02::16");
    let frame = frame
        .icmp(random.pick(&[130, 131, 132, 143]), 0)
        .payload(20);
    let frame = frame.hop_limit(random.pick(&[1, 1, 1, 2]));
    match random.below(4) {
        0 => frame,
        _ => frame.extension(0, &ROUTER_ALERT),
    }
    .build()
}

fn members(random: &mut Random, _: &Palette) -> Vec<u8> {
    packet()
        .from(random.pick(&["192.0.2.9", "0.0.0.0"]))
        .to(random.pick(&["224.0.0.1", "239.1.2.3", "192.0.2.1"]))
        .hop_limit(random.pick(&[1, 1, 64]))
        .protocol(2, &[0x16; 8])
        .build()
}

fn address(random: &mut Random, _: &Palette) -> Vec<u8> {
    let (base, v4) = base(random);
    let base = match (v4, random.once_in(2)) {
        (true, true) => base.to("255.255.255.255"),
        (false, true) => base.to("fe80::9"),
        (true, false) => base,
        (false, false) => base.from("fe80::1"),
    };
    let ports = [(67, 68), (67, 67), (547, 546), (546, 547)];
    let expected = if v4 { ports[0] } else { ports[2] };
    let (from, to) = if random.once_in(4) {
        random.pick(&ports)
    } else {
        expected
    };
    base.udp_between(from, to).payload(60).build()
}

fn bad_flags(random: &mut Random, palette: &Palette) -> Vec<u8> {
    let base = base(random).0;
    let bad = [0, 0, 0x01, 0x01, 0x29, 0x29, 0x03, 0x06, 0x08];
    let flags = if random.once_in(5) {
        random.number() as u8
    } else {
        random.pick(&bad)
    };
    base.tcp(port(random, palette), flags).build()
}

fn tags(random: &mut Random, palette: &Palette) -> Vec<u8> {
    let mut base = base(random).0;
    for _ in 0..random.below(5) {
        base = base.vlan(random.pick(&[0x8100, 0x88a8, 0x8100, 0x9100]));
    }
    with_port(random, palette, base).build()
}

/// A byte of a header that holds a length, a version or an offset becomes something else.
fn lengths(random: &mut Random, palette: &Palette) -> Vec<u8> {
    const HEADER: usize = 14;
    let v4 = random.once_in(2);
    let base = if v4 {
        packet()
    } else {
        packet().from("fd00::2").to("2001:db8:2::1")
    };
    let mut frame = with_port(random, palette, base).build();
    let body = HEADER + if v4 { 20 } else { 40 };
    let is_udp = frame[HEADER + if v4 { 9 } else { 6 }] == 17;
    let places = [
        HEADER,
        HEADER + if v4 { 2 } else { 4 },
        HEADER + if v4 { 3 } else { 5 },
        body + if is_udp { 4 } else { 12 },
        body + if is_udp { 5 } else { 12 },
    ];
    let at = random.pick(&places);
    let small = random.below(48) as u8;
    frame[at] = if random.once_in(2) {
        small
    } else {
        random.number() as u8
    };
    frame
}

fn options(random: &mut Random, palette: &Palette) -> Vec<u8> {
    let kinds = [0, 1, 7, 68, 131, 137, 131, 137, 148, 3];
    let mut options = [1u8; 40];
    let len = random.below(41);
    for _ in 0..random.below(3) {
        let at = random.below(40);
        options[at] = random.pick(&kinds);
    }
    with_port(random, palette, packet().options(&options[..len])).build()
}

fn chain(random: &mut Random, palette: &Palette) -> Vec<u8> {
    let source = random.pick(&SOURCES_V6);
    let mut base = packet().from(source).to("2001:db8:2::1");
    if random.once_in(4) {
        base = base.extension(0, &PADDING);
    }
    for _ in 0..random.below(13) {
        let mut rest = PADDING;
        let number = match random.below(24) {
            0 => 0,
            1 => 43,
            2 => 44,
            3..=6 => {
                rest = [0, 2, 0, 0, 0, 0, 0];
                43
            }
            7..=10 => {
                rest[0] = 0;
                51
            }
            11 => {
                rest[0] = random.number() as u8;
                60
            }
            _ => 60,
        };
        if number == 43 && rest[1] != 2 {
            rest[1] = 0;
        }
        base = base.extension(number, &rest);
    }
    with_port(random, palette, base).build()
}

/// Parts of few datagrams, so that later parts find their first one now and then.
fn fragment(random: &mut Random, palette: &Palette) -> Vec<u8> {
    let base = if random.once_in(2) {
        packet().from(random.pick(&SOURCES_V4))
    } else {
        packet().from(random.pick(&SOURCES_V6)).to("2001:db8:2::1")
    };
    let id = random.below(4) as u32;
    let bytes: [u8; 32] = random.bytes();
    match random.below(6) {
        0 => base
            .protocol(6, &bytes[..random.below(24)])
            .fragment(0, true, id),
        1 => base
            .protocol(17, &bytes[..random.below(8)])
            .fragment(0, true, id),
        2 => with_port(random, palette, base).fragment(0, true, id),
        3 => base
            .udp(random.pick(palette.ports))
            .payload(64)
            .fragment(0, true, id),
        4 => base
            .protocol(6, &bytes)
            .fragment(1 + random.below(900) as u16, true, id),
        _ => {
            base.protocol(17, &bytes)
                .fragment(1 + random.below(900) as u16, random.once_in(2), id)
        }
    }
    .build()
}

fn source(random: &mut Random, palette: &Palette) -> Vec<u8> {
    let v4 = || packet();
    let v6 = || packet().to("2001:db8:2::1");
    let base = match random.below(5) {
        0 => v4().from(random.pick(&MARTIANS_V4)),
        1 => v6().from(random.pick(&MARTIANS_V6)),
        2 => v4().from(OWN[0]).to("192.0.2.9"),
        3 => v6().from(OWN[1]),
        _ => v6().from(random.pick(&["::ffff:1.2.3.4", "::ffff:127.0.0.1", "::fffe:1.2.3.4"])),
    };
    with_port(random, palette, base).build()
}

fn noise(random: &mut Random, _: &Palette) -> Vec<u8> {
    let mut frame = random.bytes::<160>().to_vec();
    frame.truncate(MIN_FRAME + random.below(140));
    if !random.once_in(8) {
        let number: u16 = random.pick(&[0x0800, 0x86dd, 0x8100]);
        frame[12..14].copy_from_slice(&number.to_be_bytes());
    }
    if frame.len() > 14 && random.once_in(2) {
        frame[14] = random.pick(&[0x45, 0x46, 0x60]);
    }
    frame
}
