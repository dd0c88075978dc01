//! A frame with another source each time it is sent, and with checksums that are right.

use guard_common::testing::random::Random;

const ETHERNET: usize = 14;
const IPV6: [u8; 2] = [0x86, 0xdd];
const UDP: u8 = 17;
const TCP: u8 = 6;
const ICMPV6: u8 = 58;

/// Gives a frame of TCP, UDP or ICMP without options or extensions a random source that no host of the lab has.
pub(super) fn renew(frame: &mut [u8], random: &mut Random) {
    let is_v6 = frame[12..14] == IPV6;
    let (source, next, transport) = if is_v6 {
        (ETHERNET + 12..ETHERNET + 24, ETHERNET + 6, ETHERNET + 40)
    } else {
        (ETHERNET + 12..ETHERNET + 16, ETHERNET + 9, ETHERNET + 20)
    };
    let checksum = match frame[next] {
        UDP => Some(transport + 6),
        TCP => Some(transport + 16),
        // That of ICMP over IPv4 does not cover the addresses.
        ICMPV6 => Some(transport + 2),
        _ => None,
    };
    let before: Vec<u8> = frame[source.clone()].to_vec();
    let bytes: [u8; 12] = random.bytes();
    let length = source.len();
    frame[source.clone()].copy_from_slice(&bytes[..length]);
    // Behind 2001:db8::/32, or from 11.0.0.0 to 99.255.255.255.
    if !is_v6 {
        frame[source.start] = 11 + bytes[0] % 89;
    }
    let after: Vec<u8> = frame[source].to_vec();
    if !is_v6 {
        update(frame, ETHERNET + 10, &before, &after);
    }
    if let Some(at) = checksum {
        update(frame, at, &before, &after);
    }
}

/// The checksum at `at` for other words at even places (RFC 1624).
fn update(frame: &mut [u8], at: usize, before: &[u8], after: &[u8]) {
    let word = |pair: &[u8]| u32::from(u16::from_be_bytes([pair[0], pair[1]]));
    let mut sum = u32::from(!u16::from_be_bytes([frame[at], frame[at + 1]]));
    for (old, new) in before.chunks(2).zip(after.chunks(2)) {
        sum += (!word(old) & 0xffff) + word(new);
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    frame[at..at + 2].copy_from_slice(&(!(sum as u16)).to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use guard_common::testing::{packet, packet_v6};

    /// Ones' complement of the sum of the words.
    fn sum(bytes: &[u8]) -> u16 {
        let words = bytes
            .chunks(2)
            .map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)));
        let mut sum: u32 = words.sum();
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        sum as u16
    }

    #[test]
    fn checksums_stay_right() {
        let mut random = Random::new(4);
        for base in [packet(), packet_v6()] {
            let mut frame = base.clone().udp(53).payload(22).build();
            let is_v4 = base.is_v4();
            let (addresses, payload) = if is_v4 { (26..34, 34) } else { (22..54, 54) };
            let whole = |frame: &[u8]| {
                let pseudo = [
                    &frame[addresses.clone()],
                    &[0, 17, 0, 30],
                    &frame[payload..],
                ]
                .concat();
                (sum(&pseudo), is_v4.then(|| sum(&frame[14..34])))
            };
            let right = whole(&frame);
            let source = frame[addresses.start..addresses.start + 4].to_vec();
            for _ in 0..100 {
                renew(&mut frame, &mut random);
                assert_eq!(whole(&frame), right);
            }
            assert!(is_v4 != (frame[addresses.start..addresses.start + 4] == source));
        }
    }

    #[test]
    fn checksums_of_pings_over_ipv6_stay_right() {
        let mut random = Random::new(4);
        let mut frame = packet_v6().icmp(128, 0).build();
        let whole =
            |frame: &[u8]| sum(&[&frame[22..54], &[0, 58, 0, 8][..], &frame[54..]].concat());
        for _ in 0..100 {
            assert_eq!(whole(&frame), 0xffff);
            renew(&mut frame, &mut random);
        }
    }
}
