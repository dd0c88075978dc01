//! Postfix 3.7 (Debian 12) to 3.10 (Debian 13): `printable()` stands between clients and the log.

use super::Daemon;

/// Control characters become question marks.
fn printable(text: &str) -> Vec<u8> {
    let plain = |letter: char| if letter.is_control() { '?' } else { letter };
    text.chars().map(plain).collect::<String>().into_bytes()
}

pub(crate) const POSTFIX: Daemon = Daemon {
    filters: &[
        "postfix",
        "postfix[mode=auth]",
        "postfix[mode=more]",
        "postfix[mode=rbl]",
        "postfix[mode=errors]",
        "postfix[mode=ddos]",
        "postfix[mode=extra]",
        "postfix[mode=aggressive]",
    ],
    escape: printable,
    is_trusted: true,
    lines: &[
        "Nov 28 10:57:25 srv postfix/smtpd[7]: warning: unknown[{addr}]: SASL LOGIN authentication failed: UGFzc3dvcmQ6",
        "Nov 28 10:57:25 srv postfix/smtpd[7]: warning: unknown[{addr}]: SASL {method} authentication failed: Invalid authentication mechanism",
        "Nov 28 10:57:25 srv postfix/submission/smtpd[7]: warning: unknown[{addr}]: SASL PLAIN authentication failed: (reason unavailable), sasl_username={user}",
        "Nov 28 10:57:25 srv postfix/smtpd[7]: NOQUEUE: reject: RCPT from unknown[{addr}]: 554 5.7.1 <{to}>: Relay access denied; from=<{from}> to=<{to}> proto=ESMTP helo=<{helo}>",
        "Nov 28 10:57:25 srv postfix/smtpd[7]: NOQUEUE: reject: RCPT from unknown[{addr}]: 554 5.7.1 Service unavailable; Client host [{addr}] blocked using zen.example.org; from=<{from}> to=<{to}> proto=ESMTP helo=<{helo}>",
        "Nov 28 10:57:25 srv postfix/smtpd[7]: NOQUEUE: reject: RCPT from unknown[{addr}]: 450 4.7.1 <{helo}>: Helo command rejected: Host not found; from=<{from}> to=<{to}> proto=ESMTP helo=<{helo2}>",
        "Nov 28 10:57:25 srv postfix/smtpd[7]: NOQUEUE: reject: VRFY from unknown[{addr}]: 550 5.1.1 <{who}>: Recipient address rejected: User unknown in local recipient table; to=<{who2}> proto=SMTP helo=<{helo}>",
        "Nov 28 10:57:25 srv postfix/cleanup[7]: 0A1B2C3D4E: milter-reject: END-OF-MESSAGE from unknown[{addr}]: 5.7.1 {reason}; from=<{from}> to=<{to}> proto=ESMTP helo=<{helo}>",
        "Nov 28 10:57:25 srv postfix/smtpd[7]: improper command pipelining after EHLO from unknown[{addr}]: {data}",
        "Nov 28 10:57:25 srv postfix/smtpd[7]: too many errors after AUTH from unknown[{addr}]",
        "Nov 28 10:57:25 srv postfix/smtpd[7]: lost connection after AUTH from unknown[{addr}]",
        "Nov 28 10:57:25 srv postfix/smtpd[7]: lost connection after EHLO from unknown[{addr}]",
        "Nov 28 10:57:25 srv postfix/smtpd[7]: disconnect from unknown[{addr}] ehlo=1 auth=0/1 quit=1 commands=2/3",
        "Nov 28 10:57:25 srv postfix/postscreen[7]: PREGREET 11 after 0.1 from [{addr}]:40000: EHLO {helo}",
        "Nov 28 10:57:25 srv postfix/postscreen[7]: HANGUP after 0.1 from [{addr}]:40000 in tests before SMTP handshake",
        "Nov 28 10:57:25 srv postfix/postscreen[7]: COMMAND TIME LIMIT from [{addr}]:40000 after CONNECT",
        "Nov 28 10:57:25 srv postfix/postscreen[7]: COMMAND PIPELINING from [{addr}]:40000 after EHLO: {data}",
        "Nov 28 10:57:25 srv postfix/postscreen[7]: NOQUEUE: reject: RCPT from [{addr}]:40000: 550 5.7.1 Service unavailable; client [{addr}] blocked using zen.example.org; from=<{from}>, to=<{to}>, proto=ESMTP, helo=<{helo}>",
        "Nov 28 10:57:25 srv postfix/smtpd[7]: warning: hostname host.example.org does not resolve to address {addr}: Name or service not known",
        "Nov 28 10:57:25 srv postfix/smtpd[7]: warning: Illegal address syntax from unknown[{addr}] in RCPT command: {address}",
        "Nov 28 10:57:25 srv postfix/smtpd[7]: warning: non-SMTP command from unknown[{addr}]: {command}",
        "Nov 28 10:57:25 srv postfix/cleanup[7]: 0A1B2C3D4E: message-id=<{message}>",
        "Nov 28 10:57:25 srv postfix/cleanup[7]: 0A1B2C3D4E: warning: header Subject: {subject} from unknown[{addr}]; from=<{from}> to=<{to}> proto=ESMTP helo=<{helo}>",
        "Nov 28 10:57:25 srv postfix/cleanup[7]: 0A1B2C3D4E: reject: header Subject: {subject} from unknown[{addr}]; from=<{from}> to=<{to}> proto=ESMTP helo=<{helo}>: 5.7.1 no",
    ],
};
