//! nginx 1.22 (Debian 12) to 1.28: in the access log `log_format` escapes what comes from clients; into the error log
//! it goes as it is.

use super::{Daemon, escaped};

/// `escape=default`.
fn escaped_field(text: &str) -> Vec<u8> {
    escaped(text, |byte, out| match byte {
        b'"' | b'\\' | 0..0x20 | 0x7f.. => {
            out.extend_from_slice(format!("\\x{byte:02X}").as_bytes());
        }
        _ => out.push(byte),
    })
}

fn raw(text: &str) -> Vec<u8> {
    text.as_bytes().to_vec()
}

const fn access(filters: &'static [&'static str], lines: &'static [&'static str]) -> Daemon {
    Daemon {
        filters,
        lines,
        escape: escaped_field,
        is_trusted: true,
    }
}

const fn error(filters: &'static [&'static str], lines: &'static [&'static str]) -> Daemon {
    Daemon {
        filters,
        lines,
        escape: raw,
        is_trusted: false,
    }
}

pub(crate) const ACCESS: &[Daemon] = &[
    access(
        &["nginx-http-auth"],
        &[
            "{addr} - {user} [28/Nov/2026:10:57:25 +0000] \"GET /{path} HTTP/1.1\" 401 172 \"{referer}\" \"{agent}\"",
            "{addr} - {user} [28/Nov/2026:10:57:25 +0000] \"{request}\" 401 172 \"{referer}\" \"{agent}\"",
            "{addr} - {user} [28/Nov/2026:10:57:25 +0000] \"{request}\" 200 172 \"{referer}\" \"{agent}\"",
            "{addr} - - [28/Nov/2026:10:57:25 +0000] \"{request}\" 401 172 \"{referer}\" \"{agent}\"",
        ],
    ),
    access(
        &["nginx-botsearch"],
        &[
            "{addr} - {user} [28/Nov/2026:10:57:25 +0000] \"GET /wp-login.php{path} HTTP/1.1\" 404 172 \"{referer}\" \"{agent}\"",
            "{addr} - {user} [28/Nov/2026:10:57:25 +0000] \"{request}\" 404 172 \"{referer}\" \"{agent}\"",
            "{addr} - {user} [28/Nov/2026:10:57:25 +0000] \"{request}\" 200 172 \"{referer}\" \"{agent}\"",
        ],
    ),
    access(
        &["nginx-bad-request"],
        &[
            "{addr} - {user} [28/Nov/2026:10:57:25 +0000] \"{request}\" 400 150 \"-\" \"-\"",
            "{addr} - {user} [28/Nov/2026:10:57:25 +0000] \"{request}\" 200 150 \"{referer}\" \"{agent}\"",
        ],
    ),
    access(
        &["nginx-limit-req"],
        &[
            "{addr} - {user} [28/Nov/2026:10:57:25 +0000] \"GET /{path} HTTP/1.1\" 429 162 \"{referer}\" \"{agent}\"",
            "{addr} - {user} [28/Nov/2026:10:57:25 +0000] \"{request}\" 200 162 \"{referer}\" \"{agent}\"",
        ],
    ),
];

pub(crate) const ERROR: &[Daemon] = &[
    error(
        &["nginx-http-auth"],
        &[
            "2026/11/28 10:57:25 [error] 7#7: *1 user \"{user}\": password mismatch, client: {addr}, server: _, request: \"GET /{path} HTTP/1.1\", host: \"{host}\"",
            "2026/11/28 10:57:25 [error] 7#7: *1 user \"{user}\" was not found in \"/etc/nginx/htpasswd\", client: {addr}, server: _, request: \"GET /{path} HTTP/1.1\", host: \"{host}\"",
            "2026/11/28 10:57:25 [error] 7#7: *1 open() \"/var/www/{path}\" failed (2: No such file or directory), client: {addr}, server: _, request: \"GET /{path2} HTTP/1.1\", host: \"{host}\"",
        ],
    ),
    error(
        &["nginx-botsearch"],
        &[
            "2026/11/28 10:57:25 [error] 7#7: *1 open() \"/var/www/{path}\" failed (2: No such file or directory), client: {addr}, server: _, request: \"GET /wp-login.php{path2} HTTP/1.1\", host: \"{host}\"",
        ],
    ),
    error(
        &["nginx-limit-req"],
        &[
            "2026/11/28 10:57:25 [error] 7#7: *1 limiting requests, excess: 1.000 by zone \"one\", client: {addr}, server: _, request: \"GET /{path} HTTP/1.1\", host: \"{host}\"",
            "2026/11/28 10:57:25 [error] 7#7: *1 open() \"/var/www/{path}\" failed (2: No such file or directory), client: {addr}, server: _, request: \"GET /{path2} HTTP/1.1\", host: \"{host}\"",
        ],
    ),
];
