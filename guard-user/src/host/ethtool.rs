//! What a network card says of itself by ethtool's calls: its driver, its queues, and the offloads that keep a
//! program out of the driver.

use std::{
    ffi::{CStr, c_char, c_void},
    io, mem,
    net::UdpSocket,
    os::fd::AsRawFd as _,
};

/// linux/ethtool.h
const GET_DRIVER: u32 = 0x03;
const GET_STRINGS: u32 = 0x1b;
const GET_SET_INFO: u32 = 0x37;
const GET_FEATURES: u32 = 0x3a;
const GET_CHANNELS: u32 = 0x3c;
/// The set of strings that names features.
const FEATURE_NAMES: u32 = 4;
/// `ETH_GSTRING_LEN`
const NAME_BYTES: usize = 32;
/// No kernel has more features; their number comes from a driver.
const MOST_FEATURES: usize = 1024;

/// Offloads beside which drivers take no program, by their names in `ethtool -k` and in the kernel.
const IN_THE_WAY: [(&str, &str); 2] = [("lro", "rx-lro"), ("rx-gro-hw", "rx-gro-hw")];

/// What a card says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Card {
    /// `virtio_net`, `veth`, …; empty when it has none.
    pub driver: String,
    /// Queues in use, and how many there can be; `None` where the driver does not say.
    pub queues: Option<(u32, u32)>,
    /// Offloads that are on and keep a program out of the driver, as `ethtool -K` calls them.
    pub offloads: Vec<&'static str>,
}

impl Card {
    /// Asks the driver of this interface. What it does not say is left out.
    #[must_use]
    pub fn of(interface: &str) -> Self {
        let Ok(calls) = Calls::to(interface) else {
            return Self::default();
        };
        let features = calls.features_on();
        let offloads = IN_THE_WAY.into_iter().filter_map(|(word, name)| {
            let is_on = features.iter().any(|feature| feature == name);
            is_on.then_some(word)
        });
        Self {
            driver: calls.driver().unwrap_or_default(),
            queues: calls.queues(),
            offloads: offloads.collect(),
        }
    }
}

/// `struct ifreq` with a pointer.
#[repr(C)]
struct Request {
    name: [c_char; libc::IFNAMSIZ],
    data: *mut c_void,
    rest: [u8; 16],
}

struct Calls {
    socket: UdpSocket,
    name: [c_char; libc::IFNAMSIZ],
}

impl Calls {
    fn to(interface: &str) -> io::Result<Self> {
        let mut name = [0; libc::IFNAMSIZ];
        // The last byte stays zero.
        if interface.len() >= name.len() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        for (to, from) in name.iter_mut().zip(interface.bytes()) {
            *to = from as c_char;
        }
        Ok(Self {
            // Any socket of this network namespace does; nothing is bound or sent.
            socket: UdpSocket::bind("127.0.0.1:0").or_else(|_| UdpSocket::bind("[::1]:0"))?,
            name,
        })
    }

    /// One call; `words` begins with its command, and has room for the answer.
    fn call(&self, words: &mut [u32]) -> io::Result<()> {
        let mut request = Request {
            name: self.name,
            data: words.as_mut_ptr().cast(),
            rest: [0; 16],
        };
        // SAFETY: `request` is at least as large as an ifreq, its name is terminated, and its data is memory of
        // ours that is as long as the command says.
        let result =
            unsafe { libc::ioctl(self.socket.as_raw_fd(), libc::SIOCETHTOOL, &raw mut request) };
        if result < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }

    fn driver(&self) -> io::Result<String> {
        // struct ethtool_drvinfo: cmd, driver[32], version[32], fw_version[32], bus_info[32], erom_version[32],
        // reserved2[12], 5 counts: 196 bytes.
        let mut words = [0u32; 49];
        words[0] = GET_DRIVER;
        self.call(&mut words)?;
        Ok(text(&bytes(&words[1..9])))
    }

    fn queues(&self) -> Option<(u32, u32)> {
        // struct ethtool_channels: cmd, max_{rx,tx,other,combined}, {rx,tx,other,combined}_count.
        let mut words = [0u32; 9];
        words[0] = GET_CHANNELS;
        self.call(&mut words).ok()?;
        let (most, used) = (words[1].max(words[4]), words[5].max(words[8]));
        (most > 0).then_some((used, most))
    }

    /// Names of the features that are on.
    fn features_on(&self) -> Vec<String> {
        self.features().unwrap_or_default()
    }

    fn features(&self) -> io::Result<Vec<String>> {
        // struct ethtool_sset_info: cmd, reserved, sset_mask (64 bits), data.
        let mut info = [GET_SET_INFO, 0, 1 << FEATURE_NAMES, 0, 0];
        self.call(&mut info)?;
        let count = (info[4] as usize).min(MOST_FEATURES);
        // struct ethtool_gstrings: cmd, string_set, len, data.
        let mut names = vec![0u32; 3 + count * NAME_BYTES / 4];
        names[..3].copy_from_slice(&[GET_STRINGS, FEATURE_NAMES, count as u32]);
        self.call(&mut names)?;
        let names = bytes(&names[3..]);
        // struct ethtool_gfeatures: cmd, size, blocks of available, requested, active, never_changed.
        let blocks = count.div_ceil(32);
        let mut features = vec![0u32; 2 + blocks * 4];
        features[..2].copy_from_slice(&[GET_FEATURES, blocks as u32]);
        self.call(&mut features)?;
        let is_on = |index: usize| features[2 + index / 32 * 4 + 2] >> (index % 32) & 1 == 1;
        let named = names.chunks_exact(NAME_BYTES).take(count).enumerate();
        Ok(named
            .filter(|(index, _)| is_on(*index))
            .map(|(_, name)| text(name))
            .collect())
    }
}

fn bytes(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

/// Up to the first zero.
fn text(bytes: &[u8]) -> String {
    let text = CStr::from_bytes_until_nul(bytes).map_or(bytes, CStr::to_bytes);
    String::from_utf8_lossy(text).into_owned()
}

const _: () = assert!(mem::size_of::<Request>() >= mem::size_of::<libc::ifreq>());

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_has_features_and_no_card() {
        let calls = Calls::to("lo").expect("a socket");
        let on = calls.features_on();
        assert!(on.iter().any(|name| name == "loopback"), "{on:?}");
        assert_eq!(Card::of("lo").queues, None);
        for unknown in [
            "",
            "no-such-card",
            "a-name-that-is-too-long-for-one",
            "lo\0",
        ] {
            assert_eq!(Card::of(unknown), Card::default(), "{unknown:?}");
        }
    }
}
