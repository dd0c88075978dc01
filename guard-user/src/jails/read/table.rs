//! The settings of one table, `[jail.NAME]` or `[default]`.

use std::{ops::Range, time::Duration};

use toml::de::{DeTable, DeValue};

use super::{File, Value};
use crate::{
    bans::Prefix,
    filters::Spec,
    jails::{
        settings::{JournalUse, MOST_RETRIES, Settings},
        span, words,
    },
    logs::matches::Matches,
    text::{
        address::{self, AddressItem},
        value::quoted,
    },
};

/// Which table it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    Default,
    Jail,
}

/// Most multipliers.
const MOST_MULTIPLIERS: usize = 100;

impl File<'_, '_> {
    /// Takes over what the table says. `false` if anything in it is wrong.
    pub(super) fn table(&mut self, value: &Value<'_>, into: &mut Settings, level: Level) -> bool {
        let DeValue::Table(table) = value.get_ref() else {
            self.error(
                value.span(),
                format!("expected a table, found {}", value.get_ref().type_str()),
                "write [jail.sshd], and its settings below",
            );
            return false;
        };
        let before = self.problems.error_count();
        // A file that is named is the file that is wanted, unless the jail says of the journal, wherever it says it.
        let is_of_journal = |key: &str| key == "journal";
        let (journal, others): (Vec<_>, Vec<_>) = table
            .iter()
            .partition(|(key, _)| is_of_journal(key.get_ref().as_ref()));
        for (key, value) in others.into_iter().chain(journal) {
            let word = key.get_ref().as_ref();
            if level == Level::Default && ["filter", "mode", "logpath", "container"].contains(&word)
            {
                let message = format!("{word} belongs to a single jail");
                self.error(key.span(), message, "write it below [jail.NAME]");
                continue;
            }
            self.setting(word, key.span(), value, into);
        }
        self.problems.error_count() == before
    }

    fn setting(&mut self, word: &str, at: Range<usize>, value: &Value<'_>, into: &mut Settings) {
        if let Some(word) = word.strip_prefix("bantime.")
            && words::GROWTH.contains(&word)
        {
            self.growth(word, value, into);
            return;
        }
        match word {
            "enabled" => self.switch(value, &mut into.is_enabled),
            "filter" => self.filter(value, into),
            "mode" => {
                if let Some(mode) = self.text(value, "a mode, e.g. \"aggressive\"") {
                    into.mode = Some(mode.to_owned());
                }
            }
            "logpath" => self.files(value, into),
            "container" => self.containers(value, into),
            "journal" => self.journal(value, into),
            "maxretry" => {
                if let Some(number) = self.number(value, "a number of failures", 1..=MOST_RETRIES) {
                    into.max_retry = number;
                }
            }
            "findtime" => {
                self.length(value, &mut into.find_time);
            }
            "bantime" => self.ban_time(value, into),
            "ignoreip" => {
                if let Some((ignored, names)) = self.networks_and_names(word, value) {
                    into.ignored = ignored;
                    into.ignored_names = names;
                }
            }
            "proxies" => {
                if let Some(proxies) = self.networks(word, value) {
                    into.proxies = proxies;
                }
            }
            "ignoreself" => self.switch(value, &mut into.ignores_self),
            "usedns" => self.names(value),
            "aggregation" => self.aggregation(value, into),
            other => {
                let (message, help) = words::unknown(other);
                self.error(at, message, help);
            }
        }
    }

    /// `bantime = "10m"`, or a table: `bantime = { time = "10m", increment = true }`.
    fn ban_time(&mut self, value: &Value<'_>, into: &mut Settings) {
        if let DeValue::Table(table) = value.get_ref() {
            for (key, value) in table.iter() {
                match key.get_ref().as_ref() {
                    "time" => self.ban_time_itself(value, into),
                    word if words::GROWTH.contains(&word) => self.growth(word, value, into),
                    word => {
                        let (message, help) = words::unknown(&format!("bantime.{word}"));
                        self.error(key.span(), message, help);
                    }
                }
            }
        } else {
            self.ban_time_itself(value, into);
        }
    }

    fn ban_time_itself(&mut self, value: &Value<'_>, into: &mut Settings) {
        let Some(text) = self.time_text(value) else {
            return;
        };
        match span::term(&text) {
            Ok(term) => into.ban_time = term,
            Err(wrong) => {
                let message = format!("bantime {} {wrong}", quoted(&text));
                self.error(
                    value.span(),
                    message,
                    format!("{}; -1 is for ever", span::HELP),
                );
            }
        }
    }

    fn growth(&mut self, word: &str, value: &Value<'_>, into: &mut Settings) {
        let growth = &mut into.growth;
        match word {
            "increment" => self.switch(value, &mut growth.is_on),
            "overalljails" => self.switch(value, &mut growth.counts_all_jails),
            "maxtime" => {
                let mut most = Duration::ZERO;
                if value.get_ref().as_str() == Some("-1") {
                    growth.most = None;
                } else if self.length(value, &mut most) {
                    growth.most = Some(most);
                }
            }
            "rndtime" => {
                self.length(value, &mut growth.random);
            }
            "factor" => {
                let text = value.get_ref();
                let number = match text {
                    DeValue::Integer(number) => number.as_str().parse::<f64>().ok(),
                    DeValue::Float(number) => number.as_str().parse::<f64>().ok(),
                    DeValue::String(text) => text.trim().parse::<f64>().ok(),
                    DeValue::Boolean(_)
                    | DeValue::Datetime(_)
                    | DeValue::Array(_)
                    | DeValue::Table(_) => None,
                };
                match number.filter(|number| *number > 0.0 && *number <= 1e6) {
                    Some(number) => growth.factor = number,
                    None => self.error(
                        value.span(),
                        "bantime.factor is not a number from above 0 to a million",
                        "write 2 to have every repeated ban twice as long",
                    ),
                }
            }
            _ => self.multipliers(value, into),
        }
    }

    fn multipliers(&mut self, value: &Value<'_>, into: &mut Settings) {
        let numbers: Option<Vec<u32>> = match value.get_ref() {
            DeValue::String(text) => text
                .split_whitespace()
                .map(|word| word.parse().ok())
                .collect(),
            DeValue::Array(array) => array
                .iter()
                .map(|element| element.get_ref().as_integer()?.as_str().parse().ok())
                .collect(),
            DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Table(_) => None,
        };
        match numbers {
            Some(numbers)
                if (1..=MOST_MULTIPLIERS).contains(&numbers.len()) && !numbers.contains(&0) =>
            {
                into.growth.multipliers = numbers;
            }
            Some(_) | None => self.error(
                value.span(),
                format!(
                    "bantime.multipliers is not a list of 1 to {MOST_MULTIPLIERS} numbers above 0"
                ),
                "write [1, 2, 4, 8, 16]: the second is for the second ban",
            ),
        }
    }

    fn filter(&mut self, value: &Value<'_>, into: &mut Settings) {
        let Some(text) = self.text(value, "the name of a filter") else {
            return;
        };
        match Spec::parse(text) {
            Ok(spec) if spec.name.is_empty() => {
                let help = "`guardctl filter list` shows the filters that there are";
                self.error(value.span(), "the filter has no name", help);
            }
            Ok(_) => into.filter = text.to_owned(),
            Err(problem) => {
                let help = problem.help.unwrap_or_default();
                self.error(value.span(), problem.message, help);
            }
        }
    }

    fn files(&mut self, value: &Value<'_>, into: &mut Settings) {
        let Some(texts) = self.texts(value, "the name of a log file, or a list of them") else {
            return;
        };
        let mut files = Vec::new();
        for (text, at) in texts {
            let wrong = if !text.starts_with('/') {
                Some("is not absolute".to_owned())
            } else if text.contains("**") {
                Some("has `**`, which would search the whole disk".to_owned())
            } else {
                glob::Pattern::new(text)
                    .err()
                    .map(|error| format!("is not a pattern: {error}"))
            };
            match wrong {
                None => files.push(text.to_owned()),
                Some(wrong) => self.error(
                    at,
                    format!("logpath {} {wrong}", quoted(text)),
                    "write \"/var/log/auth.log\", or \"/var/log/nginx/*.log\"",
                ),
            }
        }
        into.files = files;
        // Both are possible if the jail says so: what it says of the journal comes later.
        if into.journal == JournalUse::OfFilter {
            into.journal = JournalUse::No;
        }
    }

    fn containers(&mut self, value: &Value<'_>, into: &mut Settings) {
        let Some(texts) = self.texts(value, "the name of a container, or a list of them") else {
            return;
        };
        let mut names = Vec::new();
        for (text, at) in texts {
            match glob::Pattern::new(text) {
                Ok(_) if !text.is_empty() && !text.contains('/') => names.push(text.to_owned()),
                Ok(_) | Err(_) => self.error(
                    at,
                    format!("{} is not a container name", quoted(text)),
                    "write \"web\", or \"web-*\"",
                ),
            }
        }
        into.containers = names;
        if into.journal == JournalUse::OfFilter {
            into.journal = JournalUse::No;
        }
    }

    fn journal(&mut self, value: &Value<'_>, into: &mut Settings) {
        match value.get_ref() {
            DeValue::Boolean(true) => into.journal = JournalUse::OfFilter,
            DeValue::Boolean(false) => into.journal = JournalUse::No,
            DeValue::String(_)
            | DeValue::Array(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Datetime(_)
            | DeValue::Table(_) => {
                let Some(texts) = self.texts(value, "true, false or matches of journalctl") else {
                    return;
                };
                let mut matches = Vec::new();
                for (text, at) in texts {
                    if Matches::parse(text).is_some() {
                        matches.push(text.to_owned());
                        continue;
                    }
                    self.error(
                        at,
                        format!("journal {} is not a journalctl match", quoted(text)),
                        "write FIELD=value, and + between what may be one or the other: \"_SYSTEMD_UNIT=ssh.service + _COMM=sshd\"",
                    );
                }
                into.journal = JournalUse::Matches(matches);
            }
        }
    }

    /// Networks, and names of hosts.
    fn networks_and_names(
        &mut self,
        key: &str,
        value: &Value<'_>,
    ) -> Option<(Vec<Prefix>, Vec<String>)> {
        let texts = self.texts(value, "addresses, networks and names")?;
        let (mut networks, mut names) = (Vec::new(), Vec::new());
        for (text, at) in texts {
            for word in text.split([' ', ',', '\t']).filter(|word| !word.is_empty()) {
                match address::parse_item(word) {
                    Ok((AddressItem::Network(network), _)) => networks.push(Prefix::from(network)),
                    Ok((AddressItem::Name(name), _)) if !names.contains(&name) => names.push(name),
                    Ok((AddressItem::Name(_), _)) => {}
                    Ok((AddressItem::Any | AddressItem::Set(_), _)) | Err(_) => self.error(
                        at.clone(),
                        format!(
                            "{key} {} is neither an address, nor a network, nor a name",
                            quoted(word)
                        ),
                        "write e.g. 203.0.113.7, 2001:db8::/64 or home.example.org",
                    ),
                }
            }
        }
        Some((networks, names))
    }

    fn networks(&mut self, key: &str, value: &Value<'_>) -> Option<Vec<Prefix>> {
        let texts = self.texts(value, "addresses and networks")?;
        let mut found = Vec::new();
        for (text, at) in texts {
            for word in text.split([' ', ',', '\t']).filter(|word| !word.is_empty()) {
                match address::parse_network(word) {
                    Ok((network, _)) => found.push(Prefix::from(network)),
                    Err(_) => self.error(
                        at.clone(),
                        format!("{key} {} is neither an address nor a network", quoted(word)),
                        "write addresses: who is trusted to say for whom he asks cannot be left to a name",
                    ),
                }
            }
        }
        Some(found)
    }

    fn names(&mut self, value: &Value<'_>) {
        let is_no = matches!(value.get_ref(), DeValue::Boolean(false))
            || value.get_ref().as_str().is_some_and(|text| text == "no");
        if !is_no {
            self.error(
                value.span(),
                "usedns can only be \"no\": whoever owns a name could get anyone banned",
                "leave it out; failures with names are reported and counted",
            );
        }
    }

    fn aggregation(&mut self, value: &Value<'_>, into: &mut Settings) {
        let help = "write { ipv4 = 32, ipv6 = 64 }";
        let Some(table) = value.get_ref().as_table() else {
            self.error(value.span(), "aggregation is not a table", help);
            return;
        };
        self.prefixes(table, into, help);
    }

    fn prefixes(&mut self, table: &DeTable<'_>, into: &mut Settings, help: &str) {
        for (key, value) in table.iter() {
            let (length, allowed) = match key.get_ref().as_ref() {
                "ipv4" => (&mut into.aggregation.ipv4, 16..=32),
                "ipv6" => (&mut into.aggregation.ipv6, 32..=128),
                other => {
                    let message = format!("unknown key {} of aggregation", quoted(other));
                    self.error(key.span(), message, help);
                    continue;
                }
            };
            if let Some(number) = self.number(value, "a length of a prefix", allowed) {
                *length = u8::try_from(number).unwrap_or(*length);
            }
        }
    }
}
