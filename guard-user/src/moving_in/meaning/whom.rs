//! For whom something is open, in words.

use std::collections::{BTreeMap, BTreeSet};

/// Between circumstances that hold together; no name has it.
pub(super) const AND: &str = "\u{1f}";
/// Most senders that are named.
const MOST_NAMED: usize = 6;

/// Answers about one service, by sender and circumstances.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Whom {
    /// By family and name of the sender (`None` = whom nobody names): the circumstances in which it is let in, and
    /// those in which it is not.
    senders: BTreeMap<(bool, Option<String>), [BTreeSet<String>; 2]>,
}

impl Whom {
    pub(super) fn add(
        &mut self,
        is_v4: bool,
        sender: Option<&str>,
        circumstances: &str,
        is_let_in: bool,
    ) {
        let key = (!is_v4, sender.map(str::to_owned));
        let [let_in, dropped] = self.senders.entry(key).or_default();
        let side = if is_let_in { let_in } else { dropped };
        if !side.contains(circumstances) {
            side.insert(circumstances.to_owned());
        }
    }

    pub(super) fn is_nobody(&self) -> bool {
        self.senders.values().all(|[let_in, _]| let_in.is_empty())
    }

    /// What these senders are called together.
    fn names(&self, senders: &[(bool, Option<String>)]) -> Vec<String> {
        let are_all = |is_v6: bool| {
            let mut of_family = self.senders.keys().filter(|(family, _)| *family == is_v6);
            of_family.all(|key| senders.contains(key))
        };
        let has = |is_v6: bool| self.senders.keys().any(|(family, _)| *family == is_v6);
        if are_all(false) && are_all(true) {
            return vec!["everybody".to_owned()];
        }
        let mut names = Vec::new();
        for (is_v6, family) in [(false, "IPv4"), (true, "IPv6")] {
            if has(is_v6) && are_all(is_v6) {
                names.push(format!("everybody over {family}"));
                continue;
            }
            let of_family = senders.iter().filter(|(of, _)| *of == is_v6);
            names.extend(of_family.map(|(_, name)| {
                name.clone()
                    .unwrap_or_else(|| format!("others over {family}"))
            }));
        }
        names
    }

    pub(super) fn text(&self) -> String {
        if self.is_nobody() {
            return "nobody".to_owned();
        }
        // Who is let in whatever the circumstances, and who never.
        let (mut always, mut never) = (Vec::new(), Vec::new());
        for ((is_v6, name), [let_in, dropped]) in &self.senders {
            match name {
                _ if let_in.is_empty() => never.push((is_v6, name)),
                _ if dropped.is_empty() => always.push((is_v6, name)),
                _ => {}
            }
        }
        let strangers = |is_v6: bool| always.contains(&(&is_v6, &None));
        let families: BTreeSet<bool> = self.senders.keys().map(|(is_v6, _)| *is_v6).collect();
        let is_for_strangers = families.iter().all(|is_v6| strangers(*is_v6));
        let mut parts = Vec::new();
        if is_for_strangers {
            parts.push(format!("everybody{}", but(&never)));
        } else {
            for (is_v6, family) in [(false, "IPv4"), (true, "IPv6")] {
                if strangers(is_v6) {
                    let of_family = never.iter().filter(|(of, _)| **of == is_v6);
                    let never: Vec<_> = of_family.copied().collect();
                    parts.push(format!("everybody over {family}{}", but(&never)));
                }
            }
            let named: Vec<String> = always
                .iter()
                .filter(|(is_v6, _)| !strangers(**is_v6))
                .filter_map(|(_, name)| (*name).clone())
                .collect();
            if !named.is_empty() {
                parts.push(list(&named));
            }
        }
        // The same circumstances are said once.
        let mut by_circumstances: BTreeMap<BTreeSet<&str>, Vec<(bool, Option<String>)>> =
            BTreeMap::new();
        for ((is_v6, name), [let_in, dropped]) in &self.senders {
            if !let_in.is_empty() && !dropped.is_empty() {
                by_circumstances
                    .entry(widest(let_in, dropped))
                    .or_default()
                    .push((*is_v6, name.clone()));
            }
        }
        for (circumstances, senders) in by_circumstances {
            let said: Vec<String> = circumstances
                .iter()
                .map(|text| match *text {
                    "" => "otherwise".to_owned(),
                    text => text.replace(AND, " "),
                })
                .collect();
            let names = self.names(&senders);
            parts.push(format!("{} ({})", list(&names), list(&said)));
        }
        parts.join("; ")
    }
}

/// Who is left out of everybody.
fn but(never: &[(&bool, &Option<String>)]) -> String {
    let names: Vec<String> = never
        .iter()
        .filter_map(|(_, name)| (*name).clone())
        .collect();
    match names.as_slice() {
        [] => String::new(),
        names => format!(" but {}", list(names)),
    }
}

/// The circumstances that take in all others in which a sender is let in.
fn widest<'c>(let_in: &'c BTreeSet<String>, dropped: &BTreeSet<String>) -> BTreeSet<&'c str> {
    let takes_in = |wide: &str, narrow: &str| {
        let mut all = wide.split(AND);
        wide != narrow && all.all(|part| narrow.split(AND).any(|other| other == part))
    };
    let is_whole = |wide: &str| !dropped.iter().any(|text| takes_in(wide, text));
    let mut kept: BTreeSet<&str> = let_in.iter().map(String::as_str).collect();
    // Those with fewer parts take in more; nothing is taken in by the empty one, which means "in no other".
    kept.retain(|text| {
        !let_in
            .iter()
            .any(|wide| !wide.is_empty() && takes_in(wide, text) && is_whole(wide))
    });
    kept
}

fn list(names: &[String]) -> String {
    let named = names.iter().take(MOST_NAMED).cloned().collect::<Vec<_>>();
    match names.len().saturating_sub(MOST_NAMED) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who is let in, of a stranger and an office over both families.
    fn text(answers: &[(bool, Option<&str>, &str, bool)]) -> String {
        let mut whom = Whom::default();
        for (is_v4, sender, circumstances, is_let_in) in answers {
            whom.add(*is_v4, *sender, circumstances, *is_let_in);
        }
        whom.text()
    }

    #[test]
    fn senders_are_named_by_what_is_said_of_them() {
        let office = Some("10.0.0.0/8");
        for (answers, said) in [
            (&[(true, None, "", false)][..], "nobody"),
            (
                &[(true, None, "", true), (false, None, "", true)],
                "everybody",
            ),
            (
                &[
                    (true, None, "", true),
                    (true, office, "", false),
                    (false, None, "", true),
                ],
                "everybody but 10.0.0.0/8",
            ),
            (
                &[
                    (true, None, "", true),
                    (true, office, "", false),
                    (false, None, "", false),
                ],
                "everybody over IPv4 but 10.0.0.0/8",
            ),
            (
                &[
                    (true, None, "", false),
                    (true, office, "", true),
                    (false, None, "", false),
                ],
                "10.0.0.0/8",
            ),
            (
                &[
                    (true, None, "", false),
                    (true, None, "on eth0", true),
                    (true, None, "to 192.0.2.9\u{1f}on eth0", true),
                ],
                "everybody (on eth0)",
            ),
            (
                &[
                    (true, None, "", true),
                    (true, None, "on eth1", false),
                    (true, office, "", true),
                ],
                "10.0.0.0/8; others over IPv4 (otherwise)",
            ),
        ] {
            assert_eq!(text(answers), said, "{answers:?}");
        }
    }
}
