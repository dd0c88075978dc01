//! One jail: fail2ban's options to the settings that guard has for them.

use std::{fs, path::Path};

use toml::Value;

use super::{STOCK, Surroundings, actions, config::Options, time, warnings::Warnings};
use crate::{
    bans::term::LONGEST,
    filters::{Problem, Spec, builtin},
    jails::{
        forgeable,
        settings::{JailInput, MOST_RETRIES, RECIDIVE},
    },
    logs::matches::Matches,
    text::address,
};

/// fail2ban's own numbers where its files say nothing.
const RETRIES: i64 = 5;
const MINUTES: i64 = 600;
/// Options of a jail that are those of its filter.
const OF_FILTER: [&str; 5] = [
    "failregex",
    "ignoreregex",
    "prefregex",
    "datepattern",
    "maxlines",
];

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

/// What is read with a filter.
struct Filter {
    watched: JailInput,
    logs: Logs,
    journal: JournalMatch,
}

/// Does a filter say what of the journal it is for?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum JournalMatch {
    Stated,
    Unstated,
}

/// The logs that a filter knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Logs {
    /// nginx's access log, where fail2ban's filter of the same name reads the error log, which can be forged.
    AccessOfNginx,
    /// Those that the jail names.
    AsNamed,
}

/// The filter, its options and its mode.
fn filter(
    from: &Path,
    options: &Options<'_>,
    surroundings: &Surroundings<'_>,
    carried: &mut ImportedJail,
    warnings: &mut Warnings,
) -> Result<Filter, Problem> {
    let wrong = |problem: Problem| options.at("filter", problem);
    let Some(text) = options.get("filter")? else {
        return Err(wrong(Problem::new("it has no filter").help(
            "put its failregex into a file of /etc/guard/filter.d, and name that with filter",
        )));
    };
    let mut spec = Spec::parse(&text).map_err(wrong)?;
    if spec.name == RECIDIVE {
        carried.set("filter", RECIDIVE);
        return Ok(Filter {
            watched: JailInput::Bans,
            logs: Logs::AsNamed,
            journal: JournalMatch::Unstated,
        });
    }
    for name in OF_FILTER {
        if let Some(value) = options.get(name)? {
            spec.given.insert(name.to_owned(), value);
        }
    }
    let mode = spec.given.remove("mode");
    let name = spec.name.clone();
    spec.name = place_of(from, &name, surroundings.is_edited);
    let text = written(&spec).ok_or_else(|| {
        wrong(
            Problem::new("an option of its filter has both kinds of quotation marks")
                .help("put that into a file of /etc/guard/filter.d, and name it with filter"),
        )
    })?;
    let mut checked = Spec::parse(&text).map_err(wrong)?;
    if let Some(mode) = &mode {
        checked.given.insert("mode".to_owned(), mode.clone());
    }
    let usable = (surroundings.check_filter)(&checked).map_err(|problem| {
        let help = problem
            .help
            .clone()
            .unwrap_or_else(|| "`guardctl filter check` tells more".to_owned());
        wrong(Problem::new(format!("its filter cannot be used: {problem}")).help(help))
    })?;
    if spec.name != name && builtin::file(&name).is_some() {
        let jail = options.jail;
        warnings.add(wrong(
            Problem::new(format!(
                "the filter {name} of the jail {jail} is not as the package has it: it is kept, in the place of the one built in"
            ))
            .help(format!("write filter = \"{name}\" into the jail for the one built in")),
        ));
    }
    for problem in usable.warnings {
        let jail = options.jail;
        let mut warning = Problem::new(format!(
            "the filter {name} of the jail {jail}: {}",
            problem.message
        ));
        warning.help = problem.help;
        warnings.add(wrong(warning));
    }
    let is_builtin = builtin::file(&spec.name).is_some();
    if !is_builtin {
        carried.stock_filter = Some(name);
    }
    let logs = match is_builtin && spec.name.starts_with("nginx-") {
        true => Logs::AccessOfNginx,
        false => Logs::AsNamed,
    };
    carried.set("filter", text);
    if let Some(mode) = mode {
        carried.set("mode", mode);
    }
    Ok(Filter {
        watched: JailInput::Lines,
        logs,
        journal: match usable.knows_journal {
            true => JournalMatch::Stated,
            false => JournalMatch::Unstated,
        },
    })
}

/// The name by which guard finds the filter that fail2ban means: what somebody changed goes before
/// the one that is built in.
fn place_of(from: &Path, name: &str, is_edited: &dyn Fn(&Path) -> bool) -> String {
    let folder = from.join("filter.d");
    let real = |path: &Path| fs::canonicalize(path).ok();
    let is_stock = real(from).is_some_and(|from| Some(from) == real(Path::new(STOCK)));
    let file = folder.join(format!("{name}.conf"));
    let is_builtin = builtin::file(name).is_some();
    let has_additions = ["local", "d"]
        .iter()
        .any(|end| folder.join(format!("{name}.{end}")).exists());
    let is_changed = has_additions
        || file.exists()
            && is_builtin
            && (folder.join("common.local").exists() || is_edited(&file));
    match (is_stock, is_changed) {
        (true, true) => format!("fail2ban:{name}"),
        (false, _) if file.exists() && (is_changed || !is_builtin) => {
            let file = fs::canonicalize(&file).unwrap_or(file);
            file.to_string_lossy().into_owned()
        }
        (true | false, _) => name.to_owned(),
    }
}

/// A filter with its options, as jails name it.
fn written(spec: &Spec) -> Option<String> {
    let mut given = Vec::new();
    for (name, value) in &spec.given {
        let quote = ['"', '\'']
            .into_iter()
            .find(|quote| !value.contains(*quote))?;
        given.push(format!("{name}={quote}{value}{quote}"));
    }
    if given.is_empty() {
        return Some(spec.name.clone());
    }
    Some(format!("{}[{}]", spec.name, given.join(", ")))
}

/// Files or the journal.
fn sources(
    options: &Options<'_>,
    logs: Logs,
    journal: JournalMatch,
    carried: &mut ImportedJail,
    warnings: &mut Warnings,
) -> Result<(), Problem> {
    let backend = options.get("backend")?.unwrap_or_default();
    if !backend.starts_with("systemd") {
        let mut files = Vec::new();
        for line in options.lines("logpath")? {
            // `FILE head` and `FILE tail` say where to begin; guard reads what is written from now on.
            let file = line
                .rsplit_once(' ')
                .map_or(line.as_str(), |(file, _)| file)
                .trim();
            let wrong = if !file.starts_with('/') {
                "is not absolute"
            } else if file.contains("**") || glob::Pattern::new(file).is_err() {
                "is a pattern that guard does not know"
            } else {
                let file = match logs {
                    Logs::AccessOfNginx if forgeable::is_error_log(file) => {
                        let access = forgeable::access_log(file);
                        warnings.add(options.at("logpath", unforged(options.jail, file, &access)));
                        access
                    }
                    Logs::AccessOfNginx | Logs::AsNamed => file.to_owned(),
                };
                if !files.contains(&file) {
                    files.push(file);
                }
                continue;
            };
            let problem = Problem::new(format!("logpath {file} {wrong}"))
                .help("write logpath = [\"/var/log/…\"] into the jail");
            warnings.add(options.at("logpath", problem));
        }
        if !files.is_empty() {
            carried.set("logpath", files);
            return Ok(());
        }
        if options.get("logpath")?.is_some() {
            let problem = Problem::new("none of its logs can be followed")
                .help("correct logpath there, and import again");
            return Err(options.at("logpath", problem));
        }
    }
    if backend.contains('[') {
        let problem = Problem::new(format!(
            "the options of backend = {backend} are not carried over"
        ))
        .help("guard reads the journal of this host");
        warnings.add(options.at("backend", problem));
    }
    let mut matches = Vec::new();
    for line in options.lines("journalmatch")? {
        if Matches::parse(&line).is_some() {
            matches.push(line);
            continue;
        }
        let problem = Problem::new(format!("journalmatch {line} is no match of journalctl"))
            .help("write journal = \"_SYSTEMD_UNIT=NAME.service\" into the jail");
        warnings.add(options.at("journalmatch", problem));
    }
    if matches.is_empty() && journal == JournalMatch::Unstated {
        let problem = Problem::new(
            "neither the jail nor its filter says what of the journal it is for, and in the whole of it every user can write",
        )
        .help("write journalmatch = _SYSTEMD_UNIT=NAME.service into the jail there, and import again");
        return Err(options.at("backend", problem));
    }
    if matches.is_empty() {
        carried.set("journal", true);
    } else {
        carried.set("journal", matches);
    }
    Ok(())
}

/// Why a jail reads another log here.
fn unforged(jail: &str, error: &str, access: &str) -> Problem {
    Problem::new(format!(
        "the jail {jail} reads {access} instead of {error}: into the error log of nginx whoever connects can write \
         whole lines, and have anybody banned"
    ))
    .help("see that nginx writes that access log in its usual format (combined)")
}

/// How many failures in what time are a ban for how long.
fn counts(
    options: &Options<'_>,
    carried: &mut ImportedJail,
    warnings: &mut Warnings,
) -> Result<(), Problem> {
    let said = options.get("maxretry")?;
    let number = said
        .as_ref()
        .map_or(Some(RETRIES), |text| text.parse().ok());
    let retries = number.unwrap_or(RETRIES).clamp(1, MOST_RETRIES);
    if number != Some(retries) {
        let said = said.unwrap_or_default();
        let problem = Problem::new(format!("maxretry = {said} is taken for {retries}"))
            .help(format!("a jail waits for 1 to {MOST_RETRIES} failures"));
        warnings.add(options.at("maxretry", problem));
    }
    carried.set("maxretry", retries);

    let find = length(options, "findtime", warnings)?.filter(|seconds| *seconds > 0);
    let find = find.unwrap_or(MINUTES).min(longest());
    carried.set("findtime", shown(options, "findtime", find)?);
    let ban = length(options, "bantime", warnings)?.filter(|seconds| *seconds != 0);
    carried.set(
        "bantime",
        shown(options, "bantime", ban.unwrap_or(MINUTES))?,
    );
    Ok(())
}

/// Repeated bans.
fn growth(
    options: &Options<'_>,
    carried: &mut ImportedJail,
    warnings: &mut Warnings,
) -> Result<(), Problem> {
    // Said in any case: guard's own default is that bans grow.
    let grows = options.switch("bantime.increment")? == Some(true);
    carried.set("bantime.increment", grows);
    if !grows {
        return Ok(());
    }
    let wrong = |warnings: &mut Warnings, name: &str, what: String, help: &str| {
        warnings.add(options.at(name, Problem::new(what).help(help)));
    };
    if let Some(text) = options.get("bantime.factor")? {
        let factor = text.parse::<f64>().ok();
        match factor.filter(|factor| *factor > 0.0 && *factor <= 1e6) {
            Some(factor) => carried.set("bantime.factor", factor),
            None => wrong(
                warnings,
                "bantime.factor",
                format!("bantime.factor = {text} is not carried over"),
                "write a number from above 0 to a million",
            ),
        }
    }
    if let Some(text) = options.get("bantime.multipliers")? {
        let numbers: Option<Vec<i64>> = text
            .split_whitespace()
            .map(|word| word.parse::<u32>().ok().map(i64::from))
            .collect();
        let is_right =
            |numbers: &Vec<i64>| (1..=100).contains(&numbers.len()) && !numbers.contains(&0);
        match numbers.filter(is_right) {
            Some(numbers) => carried.set("bantime.multipliers", numbers),
            None => wrong(
                warnings,
                "bantime.multipliers",
                format!("bantime.multipliers = {text} is not carried over: bans double"),
                "write 1 to 100 whole numbers above 0",
            ),
        }
    } else if options.get("bantime.formula")?.is_some() {
        wrong(
            warnings,
            "bantime.formula",
            "bantime.formula is a program of Python's and not carried over: bans double".to_owned(),
            "write \"bantime.multipliers\" = [1, 2, 4, 8], or \"bantime.factor\"",
        );
    }
    // fail2ban knows no longest ban, guard's own is five weeks.
    let most = length(options, "bantime.maxtime", warnings)?.filter(|seconds| *seconds > 0);
    carried.set(
        "bantime.maxtime",
        shown(options, "bantime.maxtime", most.unwrap_or(-1))?,
    );
    if let Some(random) = length(options, "bantime.rndtime", warnings)?.filter(|time| *time > 0) {
        let random = random.min(longest());
        carried.set(
            "bantime.rndtime",
            shown(options, "bantime.rndtime", random)?,
        );
    }
    if options.switch("bantime.overalljails")? == Some(true) {
        carried.set("bantime.overalljails", true);
    }
    Ok(())
}

/// A length of time in seconds; what is none is reported, and is as if nothing were said.
fn length(
    options: &Options<'_>,
    name: &str,
    warnings: &mut Warnings,
) -> Result<Option<i64>, Problem> {
    let Some(text) = options.get(name)? else {
        return Ok(None);
    };
    match time::seconds(&text) {
        Ok(seconds) => Ok(Some(seconds)),
        Err(wrong) => {
            let problem = Problem::new(format!("{name}: {wrong}"))
                .help("fail2ban's default is written instead; correct it in the jail");
            warnings.add(options.at(name, problem));
            Ok(None)
        }
    }
}

fn longest() -> i64 {
    i64::try_from(LONGEST.as_secs()).unwrap_or(i64::MAX)
}

/// As fail2ban's files write it where guard reads that, else in seconds; -1 is for ever.
fn shown(options: &Options<'_>, name: &str, seconds: i64) -> Result<Value, Problem> {
    if seconds < 0 || seconds > longest() {
        return Ok("-1".into());
    }
    let text = options.get(name)?.unwrap_or_default();
    let is_same = crate::jails::span::parse(&text)
        .is_ok_and(|length| i64::try_from(length.as_secs()) == Ok(seconds));
    Ok(match is_same {
        true => text.into(),
        false => seconds.into(),
    })
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
            None => {
                let problem = Problem::new(format!("ignoreip {word} is no address and is not carried over"))
                    .help("names are never looked up: write the addresses into ignoreip, or onto the never list");
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
            format!("the action {other} is not carried over: guard bans, and starts no programs"),
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
                "the jail {jail} is not enabled: guard starts no programs for a line of a log, and ignorecommand = {command} let sources off"
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
            "have the log written with a zone",
        );
    }
    let names = options.get("usedns")?.unwrap_or_else(|| "warn".to_owned());
    if !["no", "raw"].contains(&names.to_ascii_lowercase().as_str()) {
        add(
            "usedns",
            format!(
                "usedns = {names} is not carried over: whoever owns a name could have anybody banned"
            ),
            "have the log written with addresses; failures of names are told and counted",
        );
    }
    Ok(())
}
