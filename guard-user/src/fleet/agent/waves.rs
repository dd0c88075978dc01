//! In which steps a policy is released: first to few hosts, then to more, each step when all before have confirmed.

use std::str::FromStr;

use crate::text::value::{BadValue, quoted};

/// So many hosts, or so many of a hundred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Share {
    Hosts(usize),
    Percent(usize),
}

impl Share {
    /// Of this many, at least one.
    fn of(self, hosts: usize) -> usize {
        match self {
            Self::Hosts(count) => count,
            Self::Percent(percent) => (hosts * percent).div_ceil(100),
        }
        .max(1)
    }
}

impl FromStr for Share {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        let bad = || {
            BadValue::new(format!("{} is no number of hosts", quoted(text)))
                .help("a number, or a share such as 10%")
        };
        let (number, is_percent) = match text.strip_suffix('%') {
            Some(number) => (number, true),
            None => (text, false),
        };
        let number: usize = number.parse().map_err(|_| bad())?;
        match is_percent {
            _ if number == 0 => Err(bad()),
            true if number <= 100 => Ok(Self::Percent(number)),
            true => Err(bad()),
            false => Ok(Self::Hosts(number)),
        }
    }
}

/// How many hosts have it after each wave; the last has all.
pub(super) fn waves(hosts: usize, first: Share, then: Share) -> Vec<usize> {
    let mut done = first.of(hosts).min(hosts);
    let mut waves = vec![done];
    while done < hosts {
        done = (done + then.of(hosts)).min(hosts);
        waves.push(done);
    }
    waves
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(text: &str) -> Share {
        text.parse().expect("a share")
    }

    #[test]
    fn few_first_then_more_until_all_have_it() {
        assert_eq!(
            waves(25, share("1"), share("10%")),
            [1, 4, 7, 10, 13, 16, 19, 22, 25]
        );
        assert_eq!(waves(200, share("1"), share("50%")), [1, 101, 200]);
        assert_eq!(waves(3, share("100%"), share("1")), [3]);
        assert_eq!(waves(2, share("5"), share("1")), [2]);
        assert_eq!(waves(1, share("1"), share("1%")), [1]);
    }

    #[test]
    fn what_is_no_number_of_hosts_is_refused() {
        for wrong in ["", "0", "0%", "101%", "-1", "ten", "10 %", "%", "1.5"] {
            assert!(wrong.parse::<Share>().is_err(), "{wrong}");
        }
    }
}
