//! /etc/hosts, which comes before DNS.

use std::net::IpAddr;

/// The addresses of a name in the text of such a file; none when it does not stand there.
#[must_use]
pub(super) fn addresses(text: &str, name: &str) -> Vec<IpAddr> {
    text.lines()
        .filter_map(|line| {
            let line = line.split('#').next().unwrap_or_default();
            let mut words = line.split_whitespace();
            let address = words.next()?.parse().ok()?;
            let is_it = |word: &str| word.trim_end_matches('.').eq_ignore_ascii_case(name);
            words.any(is_it).then_some(address)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_the_addresses_of_every_line_that_names_it() {
        let text = "127.0.0.1 localhost # home.example.org\n192.0.2.1 other home.example.org\n\
                    2001:db8::1\tHome.Example.org.\n# 192.0.2.2 home.example.org\nnone home.example.org\n\
                    192.0.2.3 athome.example.org\n";
        let expected: Vec<IpAddr> = ["192.0.2.1", "2001:db8::1"]
            .iter()
            .map(|text| text.parse().expect("one"))
            .collect();
        assert_eq!(addresses(text, "home.example.org"), expected);
        assert!(addresses(text, "example.org").is_empty());
        assert!(addresses("\u{0}\n\n", "a.b").is_empty());
    }
}
