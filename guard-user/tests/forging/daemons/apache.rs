//! Apache 2.4: `ap_escape_errorlog_item` stands between clients and the log, and the port behind the address is
//! always there.

use super::{Daemon, escaped};

fn escaped_item(text: &str) -> Vec<u8> {
    escaped(text, |byte, out| match byte {
        b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        b'\t' => out.extend_from_slice(b"\\t"),
        0x20..0x7f => out.push(byte),
        _ => out.extend_from_slice(format!("\\x{byte:02x}").as_bytes()),
    })
}

pub(crate) const APACHE: Daemon = Daemon {
    filters: &["apache-auth", "apache-auth[mode=aggressive]"],
    escape: escaped_item,
    is_trusted: true,
    lines: &[
        "[Sat Nov 28 10:57:25.123456 2026] [auth_basic:error] [pid 7:tid 139] [client {addr}:40000] AH01617: user {user}: authentication failure for \"{path}\": Password Mismatch",
        "[Sat Nov 28 10:57:25.123456 2026] [auth_basic:error] [pid 7:tid 139] [client {addr}:5551] AH01618: user {user} not found: {path}, referer: {referer}",
        "[Sat Nov 28 10:57:25.123456 2026] [access_compat:error] [pid 7] [client {addr}:40000] AH01797: client denied by server configuration: /var/www{path}",
        "[Sat Nov 28 10:57:25.123456 2026] [authz_core:error] [pid 7] [client {addr}:40000] AH01630: client denied by server configuration: /var/www{path}, referer: {referer}",
        "[Sat Nov 28 10:57:25.123456 2026] [authz_core:error] [pid 7] [client {addr}:1] AH01631: user {user}: authorization failure for \"{path}\": ",
        "[Sat Nov 28 10:57:25.123456 2026] [auth_digest:error] [pid 7:tid 139] [client {addr}:40000] AH01790: user `{user}' in realm `{realm}' not found: {path}",
        "[Sat Nov 28 10:57:25.123456 2026] [auth_digest:error] [pid 7:tid 139] [client {addr}:40000] AH01788: realm mismatch - got `{realm}' but expected `private'",
        "[Sat Nov 28 10:57:25.123456 2026] [auth_digest:error] [pid 7:tid 139] [client {addr}:40000] AH01789: unknown algorithm `{algorithm}' received: {path}",
        "[Sat Nov 28 10:57:25.123456 2026] [auth_digest:error] [pid 7:tid 139] [client {addr}:40000] AH01776: invalid nonce {nonce} received - length is not 52",
        "[Sat Nov 28 10:57:25.123456 2026] [ssl:error] [pid 7:tid 139] [client {addr}:40000] AH02032: Hostname {name} provided via SNI and hostname {host} provided via HTTP are different",
        "[Sat Nov 28 10:57:25.123456 2026] [core:error] [pid 7:tid 139] [client {addr}:40000] AH00126: Invalid URI in request {request}",
        "[Sat Nov 28 10:57:25.123456 2026] [cgi:error] [pid 7] [client {addr}:40000] AH01215: {output}: /usr/lib/cgi-bin/x",
        "[Sat Nov 28 10:57:25.123456 2026] [php:error] [pid 7] [client {addr}:40000] script '/var/www{path}' not found or unable to stat",
        "[Sat Nov 28 10:57:25.123456 2026] [evasive20:error] [pid 7] [client {addr}:40000] client denied by server configuration: /var/www{path}",
    ],
};
