//! Who is at the other end of a connection, and what he may ask.

use std::{io, os::fd::AsRawFd as _};

use nix::unistd::{Gid, Group, User};
use tokio::net::UnixStream;

use super::{GROUP, Request, fleet};

/// Most supplementary groups that the kernel gives a process.
const MOST_GROUPS: usize = 65_536;

/// The group whose members may ask; `None` when this host has none of that name.
pub(super) fn group() -> Option<Gid> {
    Group::from_name(GROUP)
        .ok()
        .flatten()
        .map(|group| group.gid)
}

/// May the other end make this request? Its identity is what the kernel says it was when it
/// connected.
pub(super) fn may(stream: &UnixStream, request: &Request) -> io::Result<bool> {
    let peer = stream.peer_cred()?;
    let is_root = peer.uid() == 0;
    let is_own = peer.uid() == nix::unistd::geteuid().as_raw();
    if is_root || is_own {
        return Ok(true);
    }
    if request.is_of_fleet() {
        let user = User::from_name(fleet::USER)?;
        return Ok(user.is_some_and(|user| user.uid.as_raw() == peer.uid()));
    }
    let Some(group) = group().filter(|_| request.only_reads()) else {
        return Ok(false);
    };
    Ok(peer.gid() == group.as_raw() || supplementary(stream)?.contains(&group.as_raw()))
}

/// The other end's supplementary groups.
fn supplementary(stream: &UnixStream) -> io::Result<Vec<u32>> {
    let mut groups: Vec<u32> = vec![0; 64];
    loop {
        let mut bytes = size_of_val(groups.as_slice()) as libc::socklen_t;
        // SAFETY: a live buffer of the length that is passed, and a descriptor that is open.
        let result = unsafe {
            libc::getsockopt(
                stream.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PEERGROUPS,
                groups.as_mut_ptr().cast(),
                &raw mut bytes,
            )
        };
        if result == 0 {
            groups.truncate(bytes as usize / size_of::<u32>());
            return Ok(groups);
        }
        let error = io::Error::last_os_error();
        let is_too_small = error.raw_os_error() == Some(libc::ERANGE);
        if !is_too_small || groups.len() >= MOST_GROUPS {
            return Err(error);
        }
        groups = vec![0; MOST_GROUPS];
    }
}
