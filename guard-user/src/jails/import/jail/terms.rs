//! How many failures are a ban, for how long, and how bans grow.

use toml::Value;

use super::{
    super::{config::Options, time, warnings::Warnings},
    ImportedJail,
};
use crate::{bans::term::LONGEST, filters::Problem, jails::settings::MOST_RETRIES};

/// fail2ban's own numbers where its files say nothing.
const RETRIES: i64 = 5;
const MINUTES: i64 = 600;

/// How many failures in what time are a ban for how long.
pub(super) fn counts(
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
        let problem = Problem::new(format!("maxretry = {said} is taken as {retries}"))
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
pub(super) fn growth(
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
            "bantime.formula is a Python expression and is not carried over: bans double"
                .to_owned(),
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

/// A length of time in seconds; what is none is told, and is as if nothing were said.
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
