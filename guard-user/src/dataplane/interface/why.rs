//! Why the program does not run in the driver of an interface, and what can be done about it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::refusal::Refused;
use crate::host::Interface;

/// What every driver with XDP takes: a page less headroom and frame info (ena: 3498).
pub(in crate::dataplane) const LARGEST_SAFE_MTU: u32 = 3498;

/// Why the program does not run in the driver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WhyGeneric {
    /// The operator chose generic mode.
    Chosen,
    /// With this MTU, in bytes, the driver takes no program, or loses frames.
    Mtu(u32),
    /// The driver took the program, and the program saw none of the frames that were received.
    Blind,
    /// The driver refuses it, with these words.
    Refused(String),
}

impl WhyGeneric {
    /// What a refusal by the driver means.
    pub(in crate::dataplane) fn refused(refused: &Refused, interface: &Interface) -> Self {
        if interface.mtu > LARGEST_SAFE_MTU {
            return Self::Mtu(interface.mtu);
        }
        Self::Refused(match refused.number {
            Some(libc::EOPNOTSUPP) => {
                "its driver has no XDP, or none beside the offloads that are \
                                       on (`ethtool -k` lists them)"
                    .to_owned()
            }
            Some(libc::EBUSY) => {
                "its driver is busy; another program may hold its queues".to_owned()
            }
            Some(libc::ENOSPC | libc::ENOMEM) => {
                "its driver has no room for it; fewer queues may help (`ethtool -L`)".to_owned()
            }
            // veth, of the other end.
            Some(libc::ERANGE) => {
                "the MTU at the other end of its cable is more than it takes with XDP".to_owned()
            }
            Some(_) | None => format!("its driver refuses it: {refused}"),
        })
    }
}

impl fmt::Display for WhyGeneric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Chosen => f.write_str("chosen with --mode generic"),
            Self::Mtu(mtu) => write!(
                f,
                "its driver takes no program with an MTU of {mtu}; with 1500 it does, if it has XDP at all"
            ),
            Self::Blind => f.write_str(
                "its driver takes the program and hands it no packets (virtio_net without mergeable \
                 buffers does so)",
            ),
            Self::Refused(why) => f.write_str(why),
        }
    }
}
