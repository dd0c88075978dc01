//! `f2b`: what scripts and fingers ask of fail2ban-client, in its words and its forms.

use std::io::{self, Write};

use serde_json::json;

use super::context::Context;
use super::jail::{asked, banned, change, is_of, values};
use crate::{
    bans::{BanTarget, store::BanRow},
    control::{JailReport, Request, client},
    controller::{Controller, Unban},
    failure::{Exit, Failure},
    jails::JournalUse,
    output::Output,
};

/// Below `f2b --help`.
pub(super) const HELP: &str = "\
  status [JAIL]                    jails, or one of them
  banned [IP…]                     who is banned, by jail; or which jails have banned these
  unban IP… | --all                lift bans
  set JAIL banip IP…               ban for as long as the jail's bans hold
  set JAIL unbanip IP… | --all     lift bans of the jail
  set JAIL attempt IP…             count a failure
  set JAIL maxretry|findtime|bantime VALUE
  set JAIL addignoreip|delignoreip IP…
  get JAIL banip|maxretry|findtime|bantime|ignoreip|logpath|journalmatch
  start|stop JAIL                  turn a jail on or off
  reload, ping, version
Everything else of fail2ban-client has another place here: `guardctl jail --help`.";

pub(super) fn f2b(context: &mut Context<'_>, words: &[String]) -> Result<Exit, Failure> {
    let texts: Vec<&str> = words.iter().map(String::as_str).collect();
    let from = |index: usize| words.get(index..).unwrap_or_default();
    match texts.as_slice() {
        ["ping"] => {
            client::ask(context.controller.layout(), Request::Ping)?;
            say(context.output, "Server replied: pong");
        }
        ["version" | "-V" | "--version"] => say(context.output, env!("CARGO_PKG_VERSION")),
        ["reload", ..] => {
            if !context.controller.reload_jails()? {
                return Err(no_daemon(context.controller));
            }
            say(context.output, "OK");
        }
        ["status"] => return status(context),
        ["status", jail] => return status_of(context, jail),
        ["banned"] => return all_banned(context),
        ["banned", ..] => return banned_in(context, from(1)),
        ["unban", "--all"] => return lift(context, Unban::All),
        ["unban", _, ..] => {
            return lift(context, Unban::Sources(from(1)));
        }
        ["start", jail] => {
            return change(context, jail, "enabled", &["true".to_owned()]);
        }
        ["stop", jail] => {
            context.controller.jail(jail)?;
            return change(context, jail, "enabled", &["false".to_owned()]);
        }
        ["set", jail, "banip", _, ..] => {
            let done = context.controller.ban_in_jail(
                jail,
                from(3),
                super::deadline::plain(context.global),
            )?;
            context.output.warnings(&done.warnings);
            say(context.output, &done.banned.len().to_string());
        }
        ["set", jail, "unbanip", "--all"] => {
            return lift(context, Unban::OfJail(jail, &[]));
        }
        ["set", jail, "unbanip", _, ..] => {
            return lift(context, Unban::OfJail(jail, from(3)));
        }
        ["set", jail, "attempt", _, ..] => return attempts(context, jail, from(3)),
        ["set", jail, key @ ("maxretry" | "findtime" | "bantime"), _] => {
            context.controller.jail(jail)?;
            return change(context, jail, key, from(3));
        }
        ["set", jail, word @ ("addignoreip" | "delignoreip"), _, ..] => {
            let mut after = context.controller.jail(jail)?.ignored_texts();
            for source in from(3) {
                after.retain(|known| known != source);
                if *word == "addignoreip" {
                    after.push(source.clone());
                }
            }
            return change(context, jail, "ignoreip", &after);
        }
        ["get", jail, key] => return get(context, jail, key),
        _ => {
            let typed = texts.join(" ");
            let failure = Failure::new(Exit::Usage, format!("`f2b {typed}` is not understood"));
            return Err(failure
                .help("`guardctl f2b --help` shows what is; `guardctl jail --help`, the rest"));
        }
    }
    Ok(Exit::Ok)
}

fn say(output: &mut Output, text: &str) {
    output.show(|out| writeln!(out, "{text}"), || json!({"answer": text}));
}

fn no_daemon(controller: &Controller) -> Failure {
    let path = controller.layout().control();
    Failure::new(
        Exit::Inactive,
        format!("{}: no daemon is running", path.display()),
    )
    .help("`systemctl start guard`, or `guardctl daemon` in the foreground")
}

fn status(context: &mut Context<'_>) -> Result<Exit, Failure> {
    let report = asked(context.controller)?;
    let names: Vec<&str> = report.jails.iter().map(|jail| jail.name.as_str()).collect();
    context.output.show(
        |out| {
            writeln!(out, "Status\n|- Number of jail:\t{}", names.len())?;
            writeln!(out, "`- Jail list:\t{}", names.join(", "))
        },
        || json!({"jails": names}),
    );
    Ok(Exit::Ok)
}

fn status_of(context: &mut Context<'_>, name: &str) -> Result<Exit, Failure> {
    let report = asked(context.controller)?;
    let Some(jail) = report.jails.iter().find(|jail| jail.name == name) else {
        return Err(unknown(name));
    };
    let (mut records, _) = banned(context.controller)?;
    records.retain(|record| is_of(record, name));
    let matches = journal_of(context.controller, name);
    context.output.show(
        |out| text(out, jail, &records, &matches),
        || {
            json!({
                "jail": name,
                "currently_failed": jail.counts.suspects,
                "total_failed": jail.counts.failures,
                "currently_banned": records.len(),
                "total_banned": jail.counts.bans,
                "banned": records.iter().map(|record| record.prefix.to_string()).collect::<Vec<_>>(),
            })
        },
    );
    Ok(Exit::Ok)
}

/// fail2ban-client's own form: scripts look for its words.
fn text(
    out: &mut dyn Write,
    jail: &JailReport,
    records: &[BanRow],
    matches: &str,
) -> io::Result<()> {
    let files: Vec<&str> = jail.files.iter().map(|file| file.name.as_str()).collect();
    let banned: Vec<String> = records
        .iter()
        .map(|record| record.prefix.to_string())
        .collect();
    writeln!(out, "Status for the jail: {}\n|- Filter", jail.name)?;
    writeln!(out, "|  |- Currently failed:\t{}", jail.counts.suspects)?;
    writeln!(out, "|  |- Total failed:\t{}", jail.counts.failures)?;
    if jail.reads_journal && files.is_empty() {
        writeln!(out, "|  `- Journal matches:\t{matches}")?;
    } else {
        writeln!(out, "|  `- File list:\t{}", files.join(" "))?;
    }
    writeln!(
        out,
        "`- Actions\n   |- Currently banned:\t{}",
        records.len()
    )?;
    writeln!(out, "   |- Total banned:\t{}", jail.counts.bans)?;
    writeln!(out, "   `- Banned IP list:\t{}", banned.join(" "))
}

fn journal_of(controller: &Controller, name: &str) -> String {
    match controller.jail(name).map(|settings| settings.journal) {
        Ok(JournalUse::Matches(matches)) => matches.join(" + "),
        Ok(JournalUse::OfFilter | JournalUse::No) | Err(_) => String::new(),
    }
}

/// `[{'sshd': ['192.0.2.1']}]`, which is Python for it.
fn all_banned(context: &mut Context<'_>) -> Result<Exit, Failure> {
    let (records, _) = banned(context.controller)?;
    let jails = context.controller.jails();
    let of = |jail: &str| -> Vec<String> {
        let mine = records.iter().filter(|record| is_of(record, jail));
        mine.map(|record| record.prefix.to_string()).collect()
    };
    let names = jails
        .jails
        .iter()
        .filter(|(_, settings)| settings.is_enabled);
    let all: Vec<(String, Vec<String>)> = names.map(|(name, _)| (name.clone(), of(name))).collect();
    context.output.show(
        |out| {
            let one = |(jail, banned): &(String, Vec<String>)| {
                format!("{{{}: {}}}", quoted(jail), list(banned))
            };
            writeln!(
                out,
                "[{}]",
                all.iter().map(one).collect::<Vec<_>>().join(", ")
            )
        },
        || {
            let pairs = all
                .iter()
                .map(|(jail, banned)| (jail.clone(), json!(banned)));
            json!({"banned": pairs.collect::<serde_json::Map<_, _>>()})
        },
    );
    Ok(Exit::Ok)
}

/// Which jails have banned these: `[['sshd'], []]`.
fn banned_in(context: &mut Context<'_>, sources: &[String]) -> Result<Exit, Failure> {
    let (records, _) = banned(context.controller)?;
    let mut answers = Vec::new();
    for source in sources {
        let target = BanTarget::parse(source).map_err(crate::bans::Complaint::failure)?;
        let alone = target
            .address
            .map_or(target.prefix, crate::bans::Prefix::single);
        let holding = records.iter().filter(|record| record.prefix.covers(alone));
        let names = holding.map(|record| record.origin.name());
        answers.push(
            names
                .map(|name| name.trim_start_matches("jail ").to_owned())
                .collect::<Vec<_>>(),
        );
    }
    context.output.show(
        |out| {
            let lists: Vec<String> = answers.iter().map(|jails| list(jails)).collect();
            writeln!(out, "[{}]", lists.join(", "))
        },
        || json!({"jails": answers}),
    );
    Ok(Exit::Ok)
}

fn list(texts: &[String]) -> String {
    let quoted: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
    format!("[{}]", quoted.join(", "))
}

fn quoted(text: &str) -> String {
    format!("'{text}'")
}

/// Says how many there were; none is no failure, as with fail2ban-client.
fn lift(context: &mut Context<'_>, what: Unban<'_>) -> Result<Exit, Failure> {
    let count = match context
        .controller
        .unban(what, super::deadline::plain(context.global))
    {
        Ok(done) => {
            context.output.warnings(&done.warnings);
            done.lifted.len()
        }
        Err(failure) if failure.exit == Exit::NotFound => 0,
        Err(failure) => return Err(failure),
    };
    say(context.output, &count.to_string());
    Ok(Exit::Ok)
}

fn attempts(context: &mut Context<'_>, jail: &str, sources: &[String]) -> Result<Exit, Failure> {
    for text in sources {
        let source = text.parse().map_err(|_| {
            let message = format!("`{text}` is not an address");
            Failure::new(Exit::Usage, message).help("write 203.0.113.7 or 2001:db8::7")
        })?;
        super::jail::attempt(context, jail, source)?;
    }
    Ok(Exit::Ok)
}

fn get(context: &mut Context<'_>, jail: &str, key: &str) -> Result<Exit, Failure> {
    let settings = context.controller.jail(jail)?;
    if key == "banip" {
        let (mut records, _) = banned(context.controller)?;
        records.retain(|record| is_of(record, jail));
        let texts: Vec<String> = records
            .iter()
            .map(|record| record.prefix.to_string())
            .collect();
        say(context.output, &texts.join(" "));
        return Ok(Exit::Ok);
    }
    // fail2ban-client answers with seconds.
    let seconds = |time: std::time::Duration| time.as_secs().to_string();
    let answer = match key {
        "findtime" => seconds(settings.find_time),
        "bantime" => match settings.ban_time {
            crate::bans::BanTerm::For(time) => seconds(time),
            crate::bans::BanTerm::Permanent => "-1".to_owned(),
        },
        "journalmatch" => journal_of(context.controller, jail),
        key => {
            let all = values(&settings);
            let Some((_, value)) = all.iter().find(|(known, _)| *known == key) else {
                let message = format!("`f2b get {jail} {key}` is not understood");
                return Err(Failure::new(Exit::Usage, message)
                    .help("`guardctl jail get` shows every setting"));
            };
            match value.as_array() {
                Some(texts) => {
                    let texts = texts.iter().filter_map(|text| text.as_str());
                    texts.collect::<Vec<_>>().join("\n")
                }
                None => value
                    .as_str()
                    .map_or_else(|| value.to_string(), str::to_owned),
            }
        }
    };
    say(context.output, &answer);
    Ok(Exit::Ok)
}

fn unknown(name: &str) -> Failure {
    Failure::new(
        Exit::NotFound,
        format!("Sorry but the jail '{name}' does not exist"),
    )
    .help("`guardctl jail list` shows those that do")
}
