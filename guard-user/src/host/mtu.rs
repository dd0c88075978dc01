//! Setting the largest packet of an interface.

use std::io;

use rtnetlink::LinkUnspec;

use super::netlink;

/// Sets the MTU, as `ip link set dev NAME mtu BYTES` does.
///
/// # Errors
/// When netlink does not answer, or the driver refuses the value.
pub fn set(ifindex: u32, mtu: u32) -> io::Result<()> {
    netlink::ask(async |handle| {
        let message = LinkUnspec::new_with_index(ifindex).mtu(mtu).build();
        let set = handle.link().set(message).execute().await;
        set.map_err(io::Error::other)
    })
}
