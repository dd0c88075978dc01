//! OpenSSH 9.2 (Debian 12), 9.6 (Ubuntu 24.04), 10 (Debian 13): `log.c` writes through `strnvis`.

use super::{Daemon, escaped};

/// Control characters, whatever is no ASCII, and backslashes.
fn vis(text: &str) -> Vec<u8> {
    escaped(text, |byte, out| match byte {
        b'\\' => out.extend_from_slice(b"\\\\"),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        b'\t' => out.extend_from_slice(b"\\t"),
        0x20..0x7f => out.push(byte),
        _ => out.extend_from_slice(format!("\\{byte:03o}").as_bytes()),
    })
}

pub(crate) const SSHD: Daemon = Daemon {
    filters: &[
        "sshd",
        "sshd[mode=ddos]",
        "sshd[mode=extra]",
        "sshd[mode=aggressive]",
    ],
    escape: vis,
    is_trusted: true,
    lines: &[
        "Nov 28 10:57:25 srv sshd[101]: Failed password for invalid user {user} from {addr} port 40000 ssh2",
        "Nov 28 10:57:25 srv sshd-session[102]: Failed none for invalid user {user} from {addr} port 40000 ssh2",
        "Nov 28 10:57:25 srv sshd[103]: Failed password for root from {addr} port 40000 ssh2",
        "Nov 28 10:57:25 srv sshd[104]: Failed publickey for invalid user {user} from {addr} port 40000 ssh2: ED25519 SHA256:AbC/d",
        "Nov 28 10:57:25 srv sshd[105]: Failed hostbased for root from {addr} port 40000 ssh2: ED25519 SHA256:AbC, client user \"{user}\", client host \"{host}\"",
        "Nov 28 10:57:25 srv sshd[106]: Failed hostbased for invalid user {user} from {addr} port 40000 ssh2: ED25519 SHA256:AbC, client user \"{client}\", client host \"{host}\"",
        "Nov 28 10:57:25 srv sshd[107]: Failed keyboard-interactive/pam for invalid user {user} from {addr} port 40000 ssh2",
        "Nov 28 10:57:25 srv sshd[108]: Invalid user {user} from {addr} port 40000",
        "Nov 28 10:57:25 srv sshd[109]: User {user} from {addr} not allowed because not listed in AllowUsers",
        "Nov 28 10:57:25 srv sshd[110]: User {user} not allowed because account is locked",
        "Nov 28 10:57:25 srv sshd[111]: error: maximum authentication attempts exceeded for invalid user {user} from {addr} port 40000 ssh2 [preauth]",
        "Nov 28 10:57:25 srv sshd[112]: error: PAM: Authentication failure for illegal user {user} from {addr}",
        "Nov 28 10:57:25 srv sshd[113]: error: PAM: User not known to the underlying authentication module for illegal user {user} from {addr}",
        "Nov 28 10:57:25 srv sshd[114]: Disconnecting invalid user {user} {addr} port 40000: Too many authentication failures [preauth]",
        "Nov 28 10:57:25 srv sshd[115]: Disconnecting authenticating user {user} {addr} port 40000: Change of username or service not allowed: ({first},{service}) -> ({second},{other}) [preauth]",
        "Nov 28 10:57:25 srv sshd[116]: Connection closed by invalid user {user} {addr} port 40000 [preauth]",
        "Nov 28 10:57:25 srv sshd[117]: Connection reset by authenticating user {user} {addr} port 40000 [preauth]",
        "Nov 28 10:57:25 srv sshd[118]: Disconnected from invalid user {user} {addr} port 40000 [preauth]",
        "Nov 28 10:57:25 srv sshd[119]: Received disconnect from {addr} port 40000:3: {reason}: Auth fail [preauth]",
        "Nov 28 10:57:25 srv sshd[120]: error: Received disconnect from {addr} port 40000:14: {reason} [preauth]",
        "Nov 28 10:57:25 srv sshd[121]: Received disconnect from {addr} port 40000:11: {reason} [preauth]",
        "Nov 28 10:57:25 srv sshd[122]: error: kex_exchange_identification: client sent invalid protocol identifier \"{banner}\"",
        "Nov 28 10:57:25 srv sshd[123]: banner exchange: Connection from {addr} port 40000: invalid format",
        "Nov 28 10:57:25 srv sshd[124]: Bad protocol version identification '{banner}' from {addr} port 40000",
        "Nov 28 10:57:25 srv sshd[125]: Did not receive identification string from {addr} port 40000",
        "Nov 28 10:57:25 srv sshd[126]: Unable to negotiate with {addr} port 40000: no matching key exchange method found. Their offer: {offer} [preauth]",
        "Nov 28 10:57:25 srv sshd[127]: fatal: Timeout before authentication for {addr} port 40000",
        "Nov 28 10:57:25 srv sshd[128]: Timeout before authentication for connection from {addr} to 192.0.2.1, pid = 802",
        "Nov 28 10:57:25 srv sshd-session[129]: ssh_dispatch_run_fatal: Connection from {addr} port 40000: message authentication code incorrect [preauth]",
        "Nov 28 10:57:25 srv sshd[130]: fatal: ssh_dispatch_run_fatal: Connection from authenticating user {user} {addr} port 40000: Broken pipe [preauth]",
        "Nov 28 10:57:25 srv sshd[131]: drop connection #0 from [{addr}]:40000 on [192.0.2.1]:22 penalty: failed authentication",
        "Nov 28 10:57:25 srv sshd[132]: drop connection #10 from [{addr}]:40000 on [192.0.2.1]:22 past MaxStartups",
        "Nov 28 10:57:25 srv sshd[133]: pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser={user} rhost={addr}  user=root",
        "Nov 28 10:57:25 srv sshd[134]: Connection from {addr} port 40000 on 192.0.2.1 port 22 rdomain \"\"",
        "Nov 28 10:57:25 srv sshd[135]: Protocol major versions differ for {addr} port 40000: SSH-2.0-OpenSSH_9.2 vs. {banner}",
        "Nov 28 10:57:25 srv sshd[136]: input_userauth_request: invalid user {user} [preauth]",
        "Nov 28 10:57:25 srv sshd[137]: ROOT LOGIN REFUSED FROM {addr} port 40000",
        "Nov 28 10:57:25 srv sshd[138]: userauth_pubkey: signature algorithm {algorithm} not in PubkeyAcceptedAlgorithms [preauth]",
        "Nov 28 10:57:25 srv sshd[139]: refused connect from unknown ({addr})",
    ],
};
