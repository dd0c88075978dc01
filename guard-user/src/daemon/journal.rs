//! Lines with fields for journald, in its own protocol: a datagram of `NAME=value` lines.

use std::{
    env,
    io::{self, Write as _},
    os::unix::net::UnixDatagram,
};

/// Where journald takes them (`systemd.journal-fields(7)` names the fields, `sd_journal_sendv(3)` the socket).
const SOCKET: &str = "/run/systemd/journal/socket";
/// Notable, and no fault.
const INFO: u8 = 6;

/// Where lines go.
#[derive(Debug)]
pub(super) enum LogSink {
    /// systemd started the daemon.
    Journal(UnixDatagram),
    /// Somebody else did, and looks at its stderr.
    Stderr,
}

impl LogSink {
    /// # Errors
    /// When there are no more sockets.
    pub(super) fn of_this_process() -> io::Result<Self> {
        if env::var_os("JOURNAL_STREAM").is_none() {
            return Ok(Self::Stderr);
        }
        let socket = UnixDatagram::unbound()?;
        // A journal that is busy makes nobody wait.
        socket.set_nonblocking(true)?;
        Ok(Self::Journal(socket))
    }

    /// Writes a line. Neither it nor a value may hold the end of a line.
    ///
    /// # Errors
    /// When journald does not take it: it is full, or away.
    pub(super) fn write(&self, line: &str, fields: &[(&str, String)]) -> io::Result<()> {
        match self {
            Self::Journal(socket) => {
                socket.send_to(&datagram(line, fields), SOCKET)?;
            }
            Self::Stderr => writeln!(io::stderr(), "guardctl daemon: info: {line}")?,
        }
        Ok(())
    }
}

fn datagram(line: &str, fields: &[(&str, String)]) -> Vec<u8> {
    let mut text = format!("MESSAGE={line}\nPRIORITY={INFO}\nSYSLOG_IDENTIFIER=guardctl\n");
    for (name, value) in fields {
        // What is not one line would be another field.
        if !value.contains('\n') {
            text += &format!("{name}={value}\n");
        }
    }
    text.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_datagram_of_fields_and_no_value_makes_another_field() {
        let fields = [
            ("GUARD_PORT", "23".to_owned()),
            ("GUARD_INTERFACE", "eth0\nPRIORITY=0".to_owned()),
        ];
        let bytes = datagram("[GUARD DROP] IN=eth0", &fields);
        assert_eq!(
            String::from_utf8_lossy(&bytes),
            "MESSAGE=[GUARD DROP] IN=eth0\nPRIORITY=6\nSYSLOG_IDENTIFIER=guardctl\nGUARD_PORT=23\n"
        );
    }
}
