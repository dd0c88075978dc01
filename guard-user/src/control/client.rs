//! The commands' end: never waits longer than it says.

use std::{
    io,
    os::{fd::OwnedFd, unix::net::UnixStream},
    time::Instant,
};

use socket2::{Domain, SockAddr, Socket, Type};

use super::{PATIENCE, Request, Response, frame};
use crate::{
    failure::{Exit, Failure, from_io},
    layout::Layout,
};

/// Asks the daemon.
///
/// # Errors
/// Exit 3 when there is none, 4 when this process may not ask, 12 when it does not answer within
/// five seconds.
pub fn ask(layout: &Layout, request: Request) -> Result<Response, Failure> {
    let started = Instant::now();
    let path = layout.control();
    exchange(layout, request).map_err(|error| {
        let kind = error.kind();
        if kind == io::ErrorKind::NotFound || kind == io::ErrorKind::ConnectionRefused {
            return Failure::new(
                Exit::Inactive,
                format!("{}: no daemon is running", path.display()),
            )
            .help("`systemctl start guard`, or `guardctl daemon` in the foreground");
        }
        if kind == io::ErrorKind::PermissionDenied {
            return from_io(path.display(), &error);
        }
        let waited = started.elapsed().as_secs();
        let what = if kind == io::ErrorKind::WouldBlock || kind == io::ErrorKind::TimedOut {
            format!("the daemon does not answer ({waited} s)")
        } else {
            format!("the daemon broke off: {error}")
        };
        Failure::new(Exit::NoAnswer, format!("{}: {what}", path.display())).help(
            "the policy is enforced all the same; `systemctl restart guard` restarts the daemon",
        )
    })
}

fn exchange(layout: &Layout, request: Request) -> io::Result<Response> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // The time for sending also limits connecting, which waits when a stopped daemon takes nobody.
    socket.set_write_timeout(Some(PATIENCE))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.connect(&SockAddr::unix(layout.control())?)?;
    let mut stream = UnixStream::from(OwnedFd::from(socket));
    // A daemon that is full says so before it has read anything.
    let sent = frame::write_blocking(&mut stream, &request);
    match frame::read_blocking(&mut stream) {
        Ok(response) => Ok(response),
        Err(error) => Err(sent.err().unwrap_or(error)),
    }
}
