//! The links of a running firewall, one for each interface.

use std::{fs, io};

use aya::programs::links::{FdLink, PinnedLink};

use crate::{
    failure::{Exit, Failure, from_io},
    layout::Layout,
};

/// A pinned link.
#[derive(Debug)]
pub struct LinkPin {
    /// Index of the interface, from the name of the pin.
    pub ifindex: u32,
    /// The link.
    pub link: FdLink,
}

impl LinkPin {
    /// Does the link hold the program of this number?
    #[must_use]
    pub fn runs(&self, program: u32) -> bool {
        self.link
            .info()
            .is_ok_and(|info| info.program_id() == program)
    }
}

/// The pinned links, in order of interface index.
///
/// # Errors
/// When the folder cannot be read or a pin is not a link.
pub fn links(layout: &Layout) -> Result<Vec<LinkPin>, Failure> {
    let folder = layout.links();
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(from_io(folder.display(), &error)),
    };
    let mut links = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| from_io(folder.display(), &error))?;
        let name = entry.file_name();
        let Some(ifindex) = name
            .to_str()
            .and_then(|name| name.strip_prefix("xdp-")?.parse().ok())
        else {
            continue;
        };
        let pin = PinnedLink::from_pin(entry.path()).map_err(|error| {
            Failure::new(Exit::Failed, format!("{}: {error}", entry.path().display()))
        })?;
        links.push(LinkPin {
            ifindex,
            link: pin.into(),
        });
    }
    links.sort_by_key(|link| link.ifindex);
    Ok(links)
}
