//! `ban`, `unban` and `bans`: sources that are shut out.

use std::{
    io::{self, IsTerminal as _, Read},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use clap::{Args as Group, Subcommand};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};
use thiserror::Error;

use super::{context::Context, options::Global};
use crate::{
    bans::{
        BanTerm,
        lines::{LONGEST_REASON, write_line},
        list,
        store::{Added, BanOrigin, BanRow, Now},
    },
    controller::{Banned, Imported, List, Unban},
    failure::{Exit, Failure, from_io},
};

/// Below `ban --help`.
pub(super) const HELP: &str = "\
Sources:
  203.0.113.7, 203.0.113.0/24, 2001:db8::/48
  2001:db8::1 means its /64; 2001:db8::1/128 the address alone

Without --for a ban holds for 1h ([bans] default in guard.toml changes that): long enough to outlast an \
attack, and forgotten by itself. Of two bans the longer holds. A ban cuts open sessions, too; the never list \
always wins. Addresses of this host, its gateways and name servers, and the address of your own session \
cannot be banned (exit 7); prefixes wider than /16 (IPv6 /32) need --force.";

/// Below `bans import --help`.
pub(super) const IMPORT_HELP: &str = "\
One network per line, # and ; begin a comment; Spamhaus DROP (`1.2.3.0/24 ; SBL1`), `ipset save` (`add NAME \
1.2.3.4 timeout 600`) and `guardctl bans export` are read as they are. A time given in a line wins over --for; \
without either a ban holds for 1h ([bans] default). Duplicates are one ban. Lines that cannot be used are \
reported, and the rest is imported (exit 8).";

/// How long, and why.
#[derive(Clone, Debug, Group)]
pub(super) struct Sentence {
    /// 5s, 10m, 1h, 1d, 2w, seconds, or -1 for permanent [default: 1h, or that of [bans]]
    #[arg(long = "for", value_name = "DURATION", value_parser = BanTerm::parse, allow_hyphen_values = true)]
    length: Option<BanTerm>,
    /// Ban until it is lifted
    #[arg(long, conflicts_with = "length")]
    permanent: bool,
    /// Why; shown by `bans list`
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    reason: String,
}

impl Sentence {
    fn term(&self) -> Option<BanTerm> {
        if self.permanent {
            Some(BanTerm::Permanent)
        } else {
            self.length
        }
    }

    fn reason(&self) -> Result<&str, Failure> {
        let is_harmless = !self.reason.chars().any(char::is_control);
        if is_harmless && self.reason.len() <= LONGEST_REASON {
            return Ok(&self.reason);
        }
        Err(Failure::new(
            Exit::Usage,
            format!("--reason: one line of at most {LONGEST_REASON} bytes"),
        )
        .help("shorten it"))
    }
}

/// Longest name for `--jail`, in bytes.
const LONGEST_JAIL_NAME: usize = 80;

/// What it says is what to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a name has 1 to {LONGEST_JAIL_NAME} letters, digits, and - _ . :")]
pub(super) struct NoJailName;

/// A name for `--jail`: of a jail, or of another program's, `fail2ban:sshd`.
pub(super) fn jail_name(text: &str) -> Result<String, NoJailName> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.:".contains(c);
    if text.is_empty() || text.len() > LONGEST_JAIL_NAME || !text.chars().all(is_plain) {
        return Err(NoJailName);
    }
    Ok(text.to_owned())
}

#[derive(Clone, Debug, Subcommand)]
pub(super) enum Bans {
    /// Show them: source, time left, origin, reason
    List,
    /// Print them as lines that `bans import` reads
    Export,
    /// Ban every source of a list
    #[command(after_help = IMPORT_HELP)]
    Import {
        /// The list; - reads standard input
        file: PathBuf,
        #[command(flatten)]
        sentence: Sentence,
    },
}

pub(super) fn ban(
    context: &mut Context<'_>,
    sources: &[String],
    sentence: &Sentence,
    jail: Option<&str>,
) -> Result<Exit, Failure> {
    let reason = sentence.reason()?;
    let consent = super::deadline::plain(context.global);
    let done = match jail {
        None => context
            .controller
            .ban(sources, sentence.term(), reason, consent)?,
        Some(jail) => context
            .controller
            .ban_as(jail, sources, sentence.term(), reason, consent)?,
    };
    context.output.warnings(&done.warnings);
    context.output.show(
        |out| {
            done.banned
                .iter()
                .try_for_each(|banned| writeln!(out, "{}", banned_line(banned, done.dry_run)))
        },
        || {
            json!({
                "dry_run": done.dry_run,
                "active": done.is_active,
                "banned": done.banned.iter().map(banned_json).collect::<Vec<_>>(),
                "warnings": done.warnings,
            })
        },
    );
    Ok(Exit::Ok)
}

pub(super) fn banned_line(banned: &Banned, dry_run: bool) -> String {
    let Banned {
        prefix,
        added,
        term,
    } = banned;
    let time = match term {
        BanTerm::For(_) => format!("for {term}"),
        BanTerm::Permanent => "for good".to_owned(),
    };
    match (added, dry_run) {
        (_, true) => format!("would ban {prefix} {time}"),
        (Added::New, false) => format!("banned {prefix} {time}"),
        (Added::Longer, false) => format!("banned {prefix} {time}; it was banned for less"),
        (Added::Known, false) => format!("{prefix} is already banned for at least as long"),
    }
}

fn banned_json(banned: &Banned) -> Value {
    json!({
        "source": banned.prefix.to_string(),
        "seconds": seconds(banned.term),
        "permanent": banned.term == BanTerm::Permanent,
        "outcome": match banned.added {
            Added::New => "new",
            Added::Longer => "longer",
            Added::Known => "known",
        },
    })
}

fn seconds(term: BanTerm) -> Option<u64> {
    match term {
        BanTerm::For(time) => Some(time.as_secs_f64().round() as u64),
        BanTerm::Permanent => None,
    }
}

pub(super) fn unban(
    context: &mut Context<'_>,
    sources: &[String],
    all: bool,
    jail: Option<&str>,
) -> Result<Exit, Failure> {
    let what = match (jail, all) {
        (Some(jail), true) => Unban::OfJail(jail, &[]),
        (Some(jail), false) => Unban::OfJail(jail, sources),
        (None, true) => Unban::All,
        (None, false) => Unban::Sources(sources),
    };
    let done = context
        .controller
        .unban(what, super::deadline::plain(context.global))?;
    context.output.warnings(&done.warnings);
    context.output.show(
        |out| {
            let would = if done.dry_run { "would lift" } else { "lifted" };
            if all {
                return writeln!(out, "{would} {}", counted(done.lifted.len() as u64, "ban"));
            }
            done.lifted
                .iter()
                .try_for_each(|prefix| writeln!(out, "{would} the ban of {prefix}"))
        },
        || {
            json!({
                "dry_run": done.dry_run,
                "lifted": done.lifted.len(),
                "sources": done.lifted.iter().take(1000).map(ToString::to_string).collect::<Vec<_>>(),
                "warnings": done.warnings,
            })
        },
    );
    Ok(Exit::Ok)
}

pub(super) fn bans(context: &mut Context<'_>, action: Option<&Bans>) -> Result<Exit, Failure> {
    match action {
        None | Some(Bans::List) => list(context),
        Some(Bans::Export) => export(context),
        Some(Bans::Import { file, sentence }) => import(context, file, sentence),
    }
}

fn list(context: &mut Context<'_>) -> Result<Exit, Failure> {
    list_of(context, |_| true)
}

/// The bans of some origins.
pub(super) fn list_of(
    context: &mut Context<'_>,
    is_meant: impl Fn(&BanOrigin) -> bool,
) -> Result<Exit, Failure> {
    let (mut records, now) = context.controller.bans()?;
    records.retain(|record| is_meant(&record.origin));
    context.output.show(
        |out| {
            if records.is_empty() {
                return writeln!(out, "nothing is banned");
            }
            writeln!(out, "{:<32} {:>14}  {:<16} REASON", "SOURCE", "LEFT", "ORIGIN")?;
            for record in &records {
                let left = match record.end.left(&now) {
                    BanTerm::For(left) => humantime::format_duration(rounded(left)).to_string(),
                    BanTerm::Permanent => "permanent".to_owned(),
                };
                writeln!(
                    out,
                    "{:<32} {left:>14}  {:<16} {}",
                    record.prefix.to_string(),
                    record.origin.to_string(),
                    record.reason
                )?;
            }
            Ok(())
        },
        || json!({"bans": records.iter().map(|record| record_json(record, &now)).collect::<Vec<_>>()}),
    );
    Ok(Exit::Ok)
}

fn rounded(time: Duration) -> Duration {
    Duration::from_secs(time.as_secs_f64().ceil() as u64)
}

fn record_json(record: &BanRow, now: &Now) -> Value {
    let left = record.end.left(now);
    json!({
        "source": record.prefix.to_string(),
        "seconds_left": seconds(left),
        "permanent": left == BanTerm::Permanent,
        "origin": record.origin.to_string(),
        "reason": record.reason,
        "banned_at": humantime::format_rfc3339_seconds(
            SystemTime::UNIX_EPOCH + Duration::from_secs(record.made)
        ).to_string(),
    })
}

fn export(context: &mut Context<'_>) -> Result<Exit, Failure> {
    let (records, now) = context.controller.bans()?;
    let line = |record: &BanRow| write_line(record.prefix, record.end.left(&now), &record.reason);
    context.output.show(
        |out| {
            records
                .iter()
                .try_for_each(|record| writeln!(out, "{}", line(record)))
        },
        || json!({"lines": records.iter().map(line).collect::<Vec<_>>()}),
    );
    Ok(Exit::Ok)
}

fn import(context: &mut Context<'_>, file: &Path, sentence: &Sentence) -> Result<Exit, Failure> {
    let reason = sentence.reason()?;
    let bar = progress(context.global);
    let consent = super::deadline::plain(context.global);
    let list = List {
        origin: &BanOrigin::Operator,
        term: sentence.term(),
        reason,
    };
    let done = context
        .controller
        .import_bans(list, open(file)?, consent, &mut |done, of| {
            bar.set_length(of);
            bar.set_position(done);
        });
    bar.finish_and_clear();
    let done = done.map_err(|failure| match file == Path::new("-") {
        true => failure.context("standard input"),
        false => failure.context(file.display()),
    });
    let done = done?;
    context.output.warnings(&done.warnings);
    context.output.show(
        |out| writeln!(out, "{}", import_told(&done)),
        || import_json(&done),
    );
    if done.lines.wrong_count == 0 {
        return Ok(Exit::Ok);
    }
    if !context.global.json {
        complain(file, &done);
    }
    Ok(Exit::Partial)
}

fn open(file: &Path) -> Result<Box<dyn Read>, Failure> {
    if file == Path::new("-") {
        return Ok(Box::new(io::stdin().lock()));
    }
    list::open(file).map_err(|error| {
        if error.kind() != io::ErrorKind::NotFound {
            return from_io(file.display(), &error);
        }
        Failure::new(Exit::NotFound, format!("{}: {error}", file.display()))
            .help("name a list of sources, or - for standard input")
    })
}

/// On a terminal only.
fn progress(global: &Global) -> ProgressBar {
    if global.json || global.quiet || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    match ProgressStyle::with_template("{bar:40} {human_pos} of {human_len} ({eta})") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn import_told(done: &Imported) -> String {
    let would = if done.dry_run { "would ban" } else { "banned" };
    let mut banned_line = format!("{would} {}", counted(done.new, "new source"));
    if done.longer > 0 {
        banned_line.push_str(&format!(", {} for longer than before", done.longer));
    }
    if done.known > 0 {
        banned_line.push_str(&format!(", {} known already", done.known));
    }
    banned_line
}

fn import_json(done: &Imported) -> Value {
    json!({
        "dry_run": done.dry_run,
        "active": done.is_active,
        "new": done.new,
        "longer": done.longer,
        "known": done.known,
        "wrong": done.lines.wrong_count,
        "errors": done.lines.wrong.iter().map(|wrong| json!({
            "line": wrong.line,
            "message": wrong.message,
        })).collect::<Vec<_>>(),
        "warnings": done.warnings,
    })
}

fn complain(file: &Path, done: &Imported) {
    let lines = &done.lines;
    for wrong in &lines.wrong {
        eprintln!("{}:{}: {}", file.display(), wrong.line, wrong.message);
    }
    let more = lines.wrong_count - lines.wrong.len();
    if more > 0 {
        eprintln!("{}: {more} more lines cannot be used", file.display());
    }
    eprintln!(
        "guardctl: {} of {} not imported",
        counted(lines.wrong_count as u64, "line"),
        lines.wrong_count as u64 + done.new + done.longer + done.known
    );
}

/// `1 ban`, `2 bans`.
pub(super) fn counted(count: u64, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}
