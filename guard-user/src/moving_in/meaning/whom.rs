//! For whom something is open, in words.

use std::collections::{BTreeMap, BTreeSet};

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

    pub(super) fn text(&self) -> String {
        if self.is_nobody() {
            return "nobody".to_owned();
        }
        // Who is let in whatever the circumstances, who only in some, and who never.
        let (mut always, mut sometimes, mut never) = (Vec::new(), Vec::new(), Vec::new());
        for ((is_v6, name), [let_in, dropped]) in &self.senders {
            match name {
                _ if let_in.is_empty() => never.push((is_v6, name)),
                _ if dropped.is_empty() => always.push((is_v6, name)),
                _ => sometimes.push((is_v6, name, let_in)),
            }
        }
        let strangers = |is_v6: bool| always.contains(&(&is_v6, &None));
        let families: BTreeSet<bool> = self.senders.keys().map(|(is_v6, _)| *is_v6).collect();
        let is_for_strangers = families.iter().all(|is_v6| strangers(*is_v6));
        let mut parts = Vec::new();
        if is_for_strangers {
            let but: Vec<String> = never
                .iter()
                .filter_map(|(_, name)| (*name).clone())
                .collect();
            parts.push(match but.as_slice() {
                [] => "everybody".to_owned(),
                but => format!("everybody but {}", list(but)),
            });
        } else {
            for (is_v6, family) in [(false, "IPv4"), (true, "IPv6")] {
                if strangers(is_v6) {
                    parts.push(format!("everybody over {family}"));
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
        let mut by_circumstances: BTreeMap<BTreeSet<&str>, Vec<String>> = BTreeMap::new();
        for (is_v6, name, let_in) in sometimes {
            let name = name.clone().unwrap_or_else(|| match is_v6 {
                false => "others over IPv4".to_owned(),
                true => "others over IPv6".to_owned(),
            });
            by_circumstances
                .entry(without_ports(let_in))
                .or_default()
                .push(name);
        }
        for (circumstances, names) in by_circumstances {
            let said: Vec<String> = circumstances
                .iter()
                .map(|text| match *text {
                    "" => "otherwise".to_owned(),
                    text => text.to_owned(),
                })
                .collect();
            parts.push(format!("{} ({})", list(&names), list(&said)));
        }
        parts.join("; ")
    }
}

/// What holds from any port is not said of single ones.
fn without_ports(circumstances: &BTreeSet<String>) -> BTreeSet<&str> {
    let is_said = |text: &str| {
        let at = text.find("from port ").unwrap_or(text.len());
        let wider = text[..at].trim_end();
        wider.len() < text.len() && circumstances.contains(wider)
    };
    let mut kept: BTreeSet<&str> = circumstances.iter().map(String::as_str).collect();
    kept.retain(|text| !is_said(text));
    kept
}

fn list(names: &[String]) -> String {
    let named = names.iter().take(MOST_NAMED).cloned().collect::<Vec<_>>();
    match names.len().saturating_sub(MOST_NAMED) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}
