//! An IPv6 address and a port with a colon between them, as Apache writes them: `2001:db8::a:b:5551`.

use std::net::Ipv6Addr;

/// The address without the port, of a text that a pattern took whole because it may be followed by no port. Daemons
/// that write an address and a port so always write the port; only where what is left is no address there was none.
pub(super) fn without_port(text: &str) -> Option<&str> {
    let (address, port) = text.rsplit_once(':')?;
    let is_port = !port.is_empty()
        && port.bytes().all(|byte| byte.is_ascii_digit())
        && port.parse::<u16>().is_ok();
    (is_port && address.parse::<Ipv6Addr>().is_ok()).then_some(address)
}

/// Does a pattern ask for an address and, behind it, for a port that may be missing?
pub(super) fn may_be_missing(pattern: &str) -> bool {
    ["<HOST>", "<ADDR>", "<F-ADDR/>", "<IP6>", "<F-IP6/>"]
        .iter()
        .flat_map(|tag| pattern.split(tag).skip(1))
        .any(|behind| {
            let group = behind
                .strip_prefix("(?::")
                .or_else(|| behind.strip_prefix("(:"));
            let Some((port, rest)) = group.and_then(|group| group.split_once(')')) else {
                return false;
            };
            let is_port =
                port.starts_with(r"\d") || port.starts_with("[0-9]") || port == "<F-PORT/>";
            is_port && rest.starts_with('?')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_digits_are_a_port_if_an_address_is_left() {
        for (text, address) in [
            ("2001:db8::a:b:c:d:5551", Some("2001:db8::a:b:c:d")),
            ("2001:db8::5:40000", Some("2001:db8::5")),
            ("::1:22", Some("::1")),
            ("2001:db8:1:2:3:4:5:6", None),
            ("2001:db8::f00d", None),
            ("2001:db8::1", None),
            ("2001:db8::a:70000", None),
            ("192.0.2.1", None),
        ] {
            assert_eq!(without_port(text), address, "{text}");
        }
    }

    #[test]
    fn a_port_that_may_be_missing_is_recognised() {
        for (pattern, is_so) in [
            (r"\[client <HOST>(:\d{1,5})?\]", true),
            (r"from '<HOST>(?::\d+)?'", true),
            (r"^<ADDR>(?::<F-PORT/>)? to", true),
            (r"<HOST>:\d+", false),
            (r"<HOST>(?:\s|$)", false),
            (r"\[<HOST>\](?::\d+)?", false),
            (r"<HOST>(: .*)?", false),
        ] {
            assert_eq!(may_be_missing(pattern), is_so, "{pattern}");
        }
    }
}
