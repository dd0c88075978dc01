//! Which of fail2ban's actions a ban of guard stands for, and which it does not.

/// Actions whose names begin so shut a source out, or make a rule for it; that is what guard does.
const BANS: [&str; 17] = [
    "iptables",
    "nftables",
    "ufw",
    "firewallcmd",
    "ipfw",
    "pf",
    "shorewall",
    "route",
    "hostsdeny",
    "bsd-ipfw",
    "npf",
    "ipfilter",
    "afctl",
    "apf",
    "osx-",
    "guard",
    "dummy",
];

/// The names of the actions in a value of `action` that a ban does not stand for.
pub(super) fn others(value: &str) -> Vec<String> {
    let mut others = Vec::new();
    for name in names(value) {
        let is_ban = BANS.iter().any(|ban| name.starts_with(ban));
        if !is_ban && !others.contains(&name) {
            others.push(name);
        }
    }
    others
}

/// Does a ban let its source in, as in `pass2allow`? Then it must be none of guard's.
pub(super) fn lets_in(value: &str) -> bool {
    value.split("blocktype=").skip(1).any(|behind| {
        let behind = behind.trim_start_matches([' ', '"', '\'']);
        let end = behind.find(|letter: char| !letter.is_ascii_alphanumeric());
        let word = behind[..end.unwrap_or(behind.len())].to_ascii_uppercase();
        ["RETURN", "ACCEPT", "ALLOW"].contains(&word.as_str())
    })
}

/// Names without what stands in brackets, where quoted texts may hold brackets, too.
fn names(value: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut name = String::new();
    let mut quote = None;
    let mut is_inside = false;
    for letter in value.chars() {
        match (quote, is_inside, letter) {
            (Some(open), ..) if letter == open => quote = None,
            (Some(_), ..) => {}
            (None, true, '"' | '\'') => quote = Some(letter),
            (None, true, ']') => is_inside = false,
            (None, true, _) => {}
            (None, false, '[') => is_inside = true,
            (None, false, ',') => names.push(std::mem::take(&mut name)),
            (None, false, _) if letter.is_whitespace() => names.push(std::mem::take(&mut name)),
            (None, false, _) => name.push(letter),
        }
    }
    names.push(name);
    names.retain(|name| !name.is_empty());
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_that_lets_sources_in_is_told_apart() {
        for (value, expected) in [
            (
                "iptables[port=\"ftp\", blocktype=RETURN, returntype=DROP]",
                true,
            ),
            ("ufw[blocktype=\"allow\"]", true),
            (
                "iptables[blocktype=\"REJECT --reject-with x\", returntype=RETURN]",
                false,
            ),
            ("iptables[blocktype=<known/blocktype>]", false),
            ("iptables", false),
        ] {
            assert_eq!(lets_in(value), expected, "{value}");
        }
    }

    #[test]
    fn what_a_ban_does_not_do_is_found() {
        for (value, expected) in [
            (
                "iptables-multiport[port=\"0:65535\", chain=\"<known/chain>\"]",
                &[][..],
            ),
            ("", &[]),
            (
                "iptables[a=\"]\"]\nsendmail-whois-lines[dest=\"root@x\", logpath=\"/a /b\"]",
                &["sendmail-whois-lines"],
            ),
            ("ufw, abuseipdb[x='1'], abuseipdb", &["abuseipdb"]),
            ("smtp.py[host=x] nftables", &["smtp.py"]),
        ] {
            assert_eq!(others(value), expected, "{value}");
        }
    }
}
