//! What is known of the program on each interface beside what the kernel tells: why it does not run
//! in the driver, the MTU that the driver took it at, and what had been received by then.
//!
//! Kept twice: in the run folder, for this boot, and in the state folder, so that the next boot does
//! not begin with a mode that is known not to work.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{attached::Attached, why::WhyGeneric};
use crate::{
    dataplane::pins::{self, files::remove_if_there},
    failure::{Exit, Failure, from_io},
    host::Network,
    layout::Layout,
    state_file,
    text::staged::write_state,
};

/// What is known of all of them, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Attachments(BTreeMap<String, Attachment>);

/// What is known of one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// Index of the interface.
    pub index: u32,
    /// MTU in bytes when the program was put on it.
    pub mtu: u32,
    /// Why the program does not run in the driver.
    pub why_generic: Option<WhyGeneric>,
    /// What interface and program had counted when both were last seen to agree; `None` after a reboot.
    pub since: Option<FrameCounts>,
    /// The interface has received frames that the program did not see.
    #[serde(default)]
    pub is_blind: bool,
}

/// Frames that were received by an interface, and counted by guard on all interfaces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrameCounts {
    /// By the interface's own count.
    pub received: u64,
    /// By guard's.
    pub counted: u64,
}

impl Attachments {
    /// What is known; nothing, when nothing can be read.
    #[must_use]
    pub fn read(layout: &Layout) -> Self {
        if let Some(now) = from(&layout.attachments()) {
            return now;
        }
        let mut kept = from(&layout.last_attachments()).unwrap_or_default();
        for attachment in kept.0.values_mut() {
            attachment.since = None;
            attachment.is_blind = false;
        }
        kept
    }

    /// Keeps it. The state folder may be full or read-only, which costs the memory of a reboot only.
    ///
    /// # Errors
    /// When the run folder is not writable.
    pub fn save(&self, layout: &Layout) -> Result<(), Failure> {
        let text = serde_json::to_string(self)
            .map_err(|error| Failure::new(Exit::Failed, error.to_string()))?;
        let write = |path: PathBuf| {
            if state_file::read_text(&path).is_ok_and(|there| there == text) {
                return Ok(());
            }
            write_state(&path, &text).map_err(|error| Failure::new(Exit::Failed, error.to_string()))
        };
        write(layout.attachments())?;
        write(layout.last_attachments()).ok();
        Ok(())
    }

    /// Takes down what was attached just now.
    ///
    /// # Errors
    /// When the run folder is not writable, or netlink does not answer.
    pub fn record(layout: &Layout, attached: &[Attached]) -> Result<(), Failure> {
        let Some(running) = pins::open(layout)?.filter(|_| !attached.is_empty()) else {
            return Ok(());
        };
        // Before what was received: what comes meanwhile is never missing from guard's count.
        let counted = running.counters.packets();
        let network = Network::read_without_routes()
            .map_err(|error| from_io("cannot read the interfaces", &error))?;
        let mut all = Self::read(layout);
        for attached in attached {
            let Some(interface) = network.interface(&attached.interface) else {
                continue;
            };
            let attachment = Attachment {
                index: interface.index,
                mtu: interface.mtu,
                why_generic: attached.why_generic.clone(),
                since: Some(FrameCounts {
                    received: interface.received,
                    counted,
                }),
                is_blind: false,
            };
            all.0.insert(attached.interface.clone(), attachment);
        }
        all.save(layout)
    }

    /// Guard is off: nothing is known any more.
    ///
    /// # Errors
    /// When a file cannot be removed.
    pub fn forget(layout: &Layout) -> Result<(), Failure> {
        remove_if_there(&layout.attachments())?;
        remove_if_there(&layout.last_attachments())
    }

    /// What is known of an interface of this name.
    #[must_use]
    pub fn of(&self, name: &str) -> Option<&Attachment> {
        self.0.get(name)
    }

    /// The same, to be changed.
    pub fn of_mut(&mut self, name: &str) -> Option<&mut Attachment> {
        self.0.get_mut(name)
    }
}

#[cfg(test)]
impl Attachments {
    /// With this to know of an interface.
    pub(in crate::dataplane) fn with(name: &str, attachment: Attachment) -> Self {
        Self(BTreeMap::from([(name.to_owned(), attachment)]))
    }
}

/// A regular file only: whatever else stands there must not make a boot wait.
fn from(path: &Path) -> Option<Attachments> {
    serde_json::from_slice(&state_file::read(path).ok()?).ok()
}
