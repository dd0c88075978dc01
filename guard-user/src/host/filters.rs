//! Filters of traffic control on the way out of an interface.

use std::io;

use futures_util::TryStreamExt as _;
use netlink_packet_route::tc::{TcAttribute, TcFilterBpfOption, TcOption};

use super::netlink;

/// What the names of guard's programs begin with.
const OURS: &str = "guard_";

/// Is there a BPF filter whose program has this name on the way out?
///
/// # Errors
/// When netlink does not answer.
pub fn has_egress_filter(ifindex: u32, program: &str) -> io::Result<bool> {
    let index = i32::try_from(ifindex).map_err(io::Error::other)?;
    netlink::ask(async |handle| {
        let mut filters = handle.traffic_filter(index).get().egress().execute();
        loop {
            match filters.try_next().await {
                Ok(Some(filter)) => {
                    if names(&filter.attributes).any(|name| name == program) {
                        return Ok(true);
                    }
                }
                // An interface without the qdisc that filters hang on has none; old kernels say so
                // with an error.
                Ok(None) | Err(rtnetlink::Error::NetlinkError(_)) => return Ok(false),
                Err(error) => return Err(io::Error::other(error)),
            }
        }
    })
}

/// BPF programs of others on an interface, on the way in and out, by their names.
///
/// # Errors
/// When netlink does not answer.
pub fn others(ifindex: u32) -> io::Result<Vec<String>> {
    let index = i32::try_from(ifindex).map_err(io::Error::other)?;
    netlink::ask(async |handle| {
        let mut found = Vec::new();
        let requests = [
            handle.traffic_filter(index).get().ingress().execute(),
            handle.traffic_filter(index).get().egress().execute(),
        ];
        for mut filters in requests {
            // Old kernels say with an error that there are none.
            while let Ok(Some(filter)) = filters.try_next().await {
                found.extend(names(&filter.attributes).map(str::to_owned));
            }
        }
        found.retain(|name| !name.starts_with(OURS));
        Ok(found)
    })
}

fn names(attributes: &[TcAttribute]) -> impl Iterator<Item = &str> {
    attributes
        .iter()
        .filter_map(|attribute| {
            if let TcAttribute::Options(options) = attribute {
                Some(options)
            } else {
                None
            }
        })
        .flatten()
        .filter_map(|option| {
            if let TcOption::Bpf(TcFilterBpfOption::ProgName(name)) = option {
                Some(name.as_str())
            } else {
                None
            }
        })
}
