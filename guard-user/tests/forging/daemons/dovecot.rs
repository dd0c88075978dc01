//! Dovecot 2.3.19 (Debian 12), 2.3.21 (Ubuntu 24.04), 2.4 (Debian 13): `str_sanitize` stands between clients and
//! the log.

use super::Daemon;

/// Control characters become question marks.
fn sanitized(text: &str) -> Vec<u8> {
    let plain = |letter: char| if letter.is_control() { '?' } else { letter };
    text.chars().map(plain).collect::<String>().into_bytes()
}

pub(crate) const DOVECOT: Daemon = Daemon {
    filters: &["dovecot", "dovecot[mode=aggressive]"],
    escape: sanitized,
    is_trusted: true,
    lines: &[
        "Nov 28 10:57:25 srv dovecot: imap-login: Disconnected (auth failed, 1 attempts in 2 secs): user=<{user}>, method=PLAIN, rip={addr}, lip=192.0.2.1, session=<AbC/dEf+>",
        "Nov 28 10:57:25 srv dovecot: imap-login: Disconnected: Connection closed (auth failed, 1 attempts in 2 secs): user=<{user}>, method={method}, rip={addr}, lip=192.0.2.1, TLS, session=<AbC/dEf+>",
        "Nov 28 10:57:25 srv dovecot: pop3-login: Aborted login (auth failed, 1 attempts in 2 secs): user=<{user}>, method=PLAIN, rip={addr}, lip=192.0.2.1, TLS: Connection closed, TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits), session=<AbC/dEf+>",
        "Nov 28 10:57:25 srv dovecot: imap-login: Login aborted: Connection closed (auth failed, 3 attempts in 16 secs) (auth_failed): user=<{user}>, method={method}, rip={addr}, lip=192.0.2.1, TLS, session=<AbC/dEf+>",
        "Nov 28 10:57:25 srv dovecot: imap-login: Login aborted: Logged out (auth failed, 3 attempts in 16 secs) (auth_failed): user=<{user}>, rip={addr}, lip=192.0.2.1, mpid=7, secured, session=<AbC/dEf+>",
        "Nov 28 10:57:25 srv dovecot: imap-login: Login aborted: Inactivity during authentication (client didn't finish SASL auth, waited 180 secs) (sasl_incomplete): user=<{user}>, method={method}, rip={addr}, lip=192.0.2.1, session=<AbC/dEf+>",
        "Nov 28 10:57:25 srv dovecot: imap-login: Login aborted: Connection closed (no auth attempts in 0 secs) (no_auth_attempts): user=<>, rip={addr}, lip=192.0.2.1, TLS handshaking: SSL_accept() failed: error:0A000412:SSL routines::sslv3 alert bad certificate: SSL alert number 42, session=<AbC/dEf+>",
        "Nov 28 10:57:25 srv dovecot: imap-login: Disconnected (tried to use disallowed plaintext auth): user=<{user}>, method={method}, rip={addr}, lip=192.0.2.1, session=<AbC/dEf+>",
        "Nov 28 10:57:25 srv dovecot: imap-login: Disconnected (no auth attempts in 2 secs): user=<{user}>, rip={addr}, lip=192.0.2.1, TLS handshaking, session=<AbC/dEf+>",
        "Nov 28 10:57:25 srv dovecot: imap-login: Disconnected: Too many invalid commands (auth failed, 1 attempts in 2 secs): user=<{user}>, method=PLAIN, rip={addr}, lip=192.0.2.1",
        "Nov 28 10:57:25 srv dovecot: auth: passwd-file({user},{addr},<AbC/dEf+>): unknown user",
        "Nov 28 10:57:25 srv dovecot: auth: passwd-file({user},{addr}): Password mismatch",
        "Nov 28 10:57:25 srv dovecot: auth-worker(7): pam({user},{addr},<AbC/dEf+>): pam_authenticate() failed: Authentication failure (Password mismatch?)",
        "Nov 28 10:57:25 srv dovecot: auth-worker(7): conn unix:auth-worker (pid=5,uid=100): auth-worker<3>: sql({user},{addr},<AbC/dEf+>): unknown user",
        "Nov 28 10:57:25 srv auth: pam_unix(dovecot:auth): authentication failure; logname= uid=0 euid=0 tty=dovecot ruser={user} rhost={addr}",
        "Nov 28 10:57:25 srv auth: pam_unix(dovecot:auth): authentication failure; logname= uid=0 euid=0 tty=dovecot ruser={user} rhost={addr}  user=mail",
        "Nov 28 10:57:25 srv dovecot: auth: login({user},{addr},<AbC/dEf+>): Username character disallowed by auth_username_chars: 0x2c (username: {again})",
        "Nov 28 10:57:25 srv dovecot: imap({user})<7><AbC/dEf+>: Disconnected: {reason} in=1 out=2",
        "Nov 28 10:57:25 srv dovecot: lda({user}): msgid={message}: saved mail to INBOX",
    ],
};
