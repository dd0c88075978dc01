//! One jail: fail2ban's options to the settings that guard has for them.

mod filter;
mod sources;
mod terms;

use std::path::Path;

use toml::Value;

use super::{Surroundings, actions, config::Options, warnings::Warnings};
use crate::{
    filters::Problem,
    jails::settings::JailInput,
    text::{address, hostname},
};
use filter::{Filter, filter};
use sources::sources;
use terms::{counts, growth};

/// A jail in guard's words.
pub(super) struct ImportedJail {
    settings: Vec<(&'static str, Value)>,
    /// Whom fail2ban spared by a program would be banned here: it is written, but not enabled.
    pub(super) is_off: bool,
    /// The filter, if it is read from fail2ban's own files.
    pub(super) stock_filter: Option<String>,
}

impl ImportedJail {
    pub(super) fn table(&self, name: &str) -> String {
        let mut text = format!("\n[jail.{name}]\n");
        for (key, value) in &self.settings {
            let key = match key.contains('.') {
                true => format!("\"{key}\""),
                false => (*key).to_owned(),
            };
            text.push_str(&format!("{key} = {value}\n"));
        }
        text
    }

    fn set(&mut self, key: &'static str, value: impl Into<Value>) {
        self.settings.push((key, value.into()));
    }
}

/// Carries a jail over, and tells what of it cannot be.
///
/// # Errors
/// Nothing of it can be.
pub(super) fn carry(
    from: &Path,
    options: &Options<'_>,
    surroundings: &Surroundings<'_>,
    warnings: &mut Warnings,
) -> Result<ImportedJail, Problem> {
    // What it cannot put together, fail2ban does not do either.
    let action = options
        .get("action")
        .unwrap_or_default()
        .unwrap_or_default();
    if actions::lets_in(&action) {
        let problem = Problem::new("its action lets sources in, and guard would shut them out")
            .help("write a rule: `guardctl allow from ADDRESS to any port PORT`");
        return Err(options.at("action", problem));
    }
    let is_off = options.get("ignorecommand")?.is_some();
    let mut carried = ImportedJail {
        settings: vec![("enabled", Value::Boolean(!is_off))],
        is_off,
        stock_filter: None,
    };
    let Filter {
        watched,
        logs,
        journal,
    } = filter(from, options, surroundings, &mut carried, warnings)?;
    match watched {
        JailInput::Bans => {}
        JailInput::Lines => sources(options, logs, journal, &mut carried, warnings)?,
    }
    counts(options, &mut carried, warnings)?;
    growth(options, &mut carried, warnings)?;
    spared(options, &mut carried, warnings)?;
    meaningless(options, &action, warnings)?;
    Ok(carried)
}

/// Who is never counted.
fn spared(
    options: &Options<'_>,
    carried: &mut ImportedJail,
    warnings: &mut Warnings,
) -> Result<(), Problem> {
    let mut ignored = Vec::new();
    for word in options.words("ignoreip")? {
        match network(&word) {
            Some(network) => ignored.push(network),
            None if hostname::is_name(&word) => ignored.push(word),
            None => {
                let problem = Problem::new(format!("ignoreip {word} is not an address and is not carried over"))
                    .help("write the addresses, or the whole name of a host, into ignoreip or onto the never list");
                warnings.add(options.at("ignoreip", problem));
            }
        }
    }
    carried.set("ignoreip", ignored);
    carried.set("ignoreself", options.switch("ignoreself")?.unwrap_or(true));
    Ok(())
}

/// An address or a network; fail2ban also takes `10.0.0.0/255.0.0.0`.
fn network(word: &str) -> Option<String> {
    if let Ok((network, _)) = address::parse_network(word) {
        return Some(address::show(&network));
    }
    let (address, mask) = word.split_once('/')?;
    let mask = u32::from(mask.parse::<std::net::Ipv4Addr>().ok()?);
    if mask.leading_ones() + mask.trailing_zeros() != u32::BITS {
        return None;
    }
    let (network, _) =
        address::parse_network(&format!("{address}/{}", mask.leading_ones())).ok()?;
    Some(address::show(&network))
}

/// What has no meaning here, where it would be missed.
fn meaningless(
    options: &Options<'_>,
    action: &str,
    warnings: &mut Warnings,
) -> Result<(), Problem> {
    let mut add = |name: &str, what: String, help: &str| {
        warnings.add(options.at(name, Problem::new(what).help(help)));
    };
    for other in actions::others(action) {
        add(
            "action",
            format!("the action {other} is not carried over: guard bans, and runs no programs"),
            "`guardctl bans list --json` tells programs of yours what is banned, and why",
        );
    }
    if options.get("port").unwrap_or_default().is_some() {
        add(
            "port",
            "port means nothing here: a ban of guard shuts out all ports".to_owned(),
            "leave it out; what a source may open is said by the rules of guard.toml",
        );
    }
    if let Some(command) = options.get("ignorecommand")? {
        let jail = options.jail;
        add(
            "ignorecommand",
            format!(
                "the jail {jail} is not enabled: guard runs no programs for log lines, and ignorecommand = \
                 {command} exempted sources"
            ),
            "name them with ignoreip in the jail, or with never in guard.toml, and write enabled = true",
        );
    }
    if let Some(zone) = options.get("logtimezone")? {
        add(
            "logtimezone",
            format!(
                "logtimezone = {zone} is not carried over: times without a zone are those of this host"
            ),
            "have the log written with a time zone",
        );
    }
    let names = options.get("usedns")?.unwrap_or_else(|| "warn".to_owned());
    if !["no", "raw"].contains(&names.to_ascii_lowercase().as_str()) {
        add(
            "usedns",
            format!(
                "usedns = {names} is not carried over: whoever owns a name could get anyone banned"
            ),
            "have addresses logged instead; failures with names are reported and counted",
        );
    }
    Ok(())
}
