//! Who may look: whoever knows the token. Every user of this host can connect to the port.

use std::io;

use hyper::header::{COOKIE, HeaderMap};

/// Name of the cookie.
const COOKIE_NAME: &str = "guard";

/// How one run of the command is reached.
pub(super) struct Access {
    /// The port that requests must name.
    pub(super) port: u16,
    pub(super) token: AccessToken,
    /// The page stands in a folder whose name nobody else has: a browser sends a cookie to every port of a host,
    /// but only to the folder that it was given for. Whoever knows the folder may not look without the token.
    folder: String,
}

impl Access {
    pub(super) fn new(port: u16) -> io::Result<Self> {
        Ok(Self {
            port,
            token: AccessToken::random()?,
            folder: format!("/{}/", hexadecimal(random::<8>()?)),
        })
    }

    pub(super) fn folder(&self) -> &str {
        &self.folder
    }

    /// The header that hands the token over. Scripts do not see it, requests from other sites do not carry it.
    pub(super) fn cookie(&self) -> String {
        let (token, folder) = (self.token.text(), &self.folder);
        format!("{COOKIE_NAME}={token}; Path={folder}; HttpOnly; SameSite=Strict")
    }

    /// Does this request carry the cookie?
    pub(super) fn knows(&self, headers: &HeaderMap) -> bool {
        let lines = headers.get_all(COOKIE).iter();
        let mut cookies = lines
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split(';'))
            .filter_map(|cookie| cookie.trim().split_once('='));
        cookies.any(|(name, value)| name == COOKIE_NAME && self.token.is(value))
    }
}

/// 128 random bits.
pub(super) struct AccessToken(String);

impl AccessToken {
    fn random() -> io::Result<Self> {
        Ok(Self(hexadecimal(random::<16>()?)))
    }

    pub(super) fn text(&self) -> &str {
        &self.0
    }

    /// Takes the same time whatever is right of it: each byte is compared, also behind the first wrong one.
    pub(super) fn is(&self, text: &str) -> bool {
        let (own, other) = (self.0.as_bytes(), text.as_bytes());
        let differing = own.iter().enumerate().fold(0, |differing, (at, byte)| {
            let other = other.get(at).copied().unwrap_or_default();
            // Else the compiler might stop at the first difference.
            std::hint::black_box(differing | (byte ^ other))
        });
        differing == 0 && own.len() == other.len()
    }
}

fn random<const BYTES: usize>() -> io::Result<[u8; BYTES]> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes)
}

fn hexadecimal<const BYTES: usize>(bytes: [u8; BYTES]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_128_bits_and_another_one_each_time() {
        let (one, other) = (AccessToken::random(), AccessToken::random());
        let (one, other) = (one.expect("a token"), other.expect("a token"));
        assert_eq!(one.text().len(), 32);
        assert!(one.text().bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_ne!(one.text(), other.text());
    }

    #[test]
    fn only_the_whole_token_is_the_token() {
        let token = AccessToken::random().expect("a token");
        let text = token.text().to_owned();
        assert!(token.is(&text));
        for at in 0..text.len() {
            assert!(!token.is(&text[..at]), "{at}");
            let mut wrong = text.clone().into_bytes();
            wrong[at] ^= 1;
            assert!(!token.is(&String::from_utf8_lossy(&wrong)), "{at}");
        }
        for wrong in [
            format!("{text}0"),
            format!("{text}\0"),
            text.to_uppercase() + "a",
        ] {
            assert!(!token.is(&wrong), "{wrong:?}");
        }
    }
}
