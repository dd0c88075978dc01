//! `import fail2ban`: its jails into one file of `jails.d`, and its running bans among guard's. The imports of other
//! firewalls have a file of their own.

mod firewall;
mod running;

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use clap::Subcommand;
use serde_json::json;

use super::{context::Context, options::Global};
use crate::{
    failure::{Exit, Failure, from_io},
    filters::{Catalog, Problem, Spec},
    jails::{
        self, FOLDER,
        import::{self, CheckedFilter, FILE, Import, Package, STOCK, Surroundings},
    },
    output::Output,
    text::{import_mark::is_untouched, staged::write_atomically},
};

/// Below `import fail2ban --help`.
const HELP: &str = "\
Writes the enabled jails to jails.d/fail2ban.toml, and takes over running bans for the time they have left. \
fail2ban's files are not changed, and its filters are read where they are. What cannot be carried over is \
reported with its place and with what to do instead; exits 8 if a jail is left out or not enabled, 6 if there \
is no fail2ban, 5 if its files cannot be read.";

use firewall::{FirewallWords, MovedFrom};
use running::CarriedBans;

#[derive(Debug, Subcommand)]
pub(super) enum Imports {
    /// fail2ban's jails: jail.conf, jail.local and jail.d
    #[command(after_help = HELP)]
    Fail2ban {
        /// fail2ban's folder
        #[arg(long, value_name = "FOLDER", default_value = STOCK)]
        from: PathBuf,
    },
    /// ufw's rules: user.rules, before.rules and the rest of /etc/ufw
    #[command(after_help = firewall::HELP)]
    Ufw {
        #[command(flatten)]
        words: FirewallWords,
    },
    /// firewalld's zones: those of /etc/firewalld before those of /usr/lib/firewalld
    #[command(after_help = firewall::HELP)]
    Firewalld {
        #[command(flatten)]
        words: FirewallWords,
    },
    /// Rules of nftables about what arrives
    #[command(after_help = firewall::HELP)]
    Nft {
        #[command(flatten)]
        words: FirewallWords,
        /// Read what `nft list ruleset` wrote to FILE instead of asking the kernel (- = standard input)
        #[arg(long, value_name = "FILE", conflicts_with = "root")]
        from: Option<PathBuf>,
    },
    /// Rules of iptables and ip6tables about what arrives
    #[command(after_help = firewall::HELP)]
    Iptables {
        #[command(flatten)]
        words: FirewallWords,
        /// Read what `iptables-save` wrote to FILE instead of asking the kernel (- = standard input)
        #[arg(long, value_name = "FILE", conflicts_with = "root")]
        from: Option<PathBuf>,
        /// Read what `ip6tables-save` wrote to FILE
        #[arg(long, value_name = "FILE", conflicts_with = "root")]
        from6: Option<PathBuf>,
    },
}

pub(super) fn import(context: &mut Context<'_>, what: &Imports) -> Result<Exit, Failure> {
    match what {
        Imports::Fail2ban { from } => fail2ban(context, from),
        Imports::Ufw { words } => firewall::import(context, &MovedFrom::Ufw, words),
        Imports::Firewalld { words } => firewall::import(context, &MovedFrom::Firewalld, words),
        Imports::Nft { words, from } => {
            let from = MovedFrom::Nft(from.as_deref());
            firewall::import(context, &from, words)
        }
        Imports::Iptables { words, from, from6 } => {
            let from = MovedFrom::Iptables {
                v4: from.as_deref(),
                v6: from6.as_deref(),
            };
            firewall::import(context, &from, words)
        }
    }
}

fn fail2ban(context: &mut Context<'_>, from: &Path) -> Result<Exit, Failure> {
    let layout = context.controller.layout();
    let target = layout.etc.join(FOLDER).join(FILE);
    refuse_edited(&target, context.global.force)?;
    let catalog = Catalog::new(layout);
    let taken = taken(&layout.etc.join(FOLDER))?;
    let package = Package::installed();
    let surroundings = Surroundings {
        taken: &taken,
        check_filter: &|spec: &Spec| {
            let mut spec = spec.clone();
            let filter = catalog.load(&spec)?;
            spec.given
                .insert("logtype".to_owned(), "journal".to_owned());
            Ok(CheckedFilter {
                knows_journal: !catalog.definition(&spec)?.journal.is_empty(),
                warnings: filter.definition().warnings.clone(),
            })
        },
        is_edited: &|file| package.is_edited(file),
    };
    let done = import::import(from, &surroundings).map_err(Problem::failure)?;
    read_back(&done)?;
    if !context.global.dry_run {
        write_atomically(&target, &done.text).map_err(|error| error.failure())?;
    }
    let bans = running::carry(context.controller, context.global, from, &done)?;
    report(context.global, &target, &done, &bans, context.output);
    Ok(match done.left_out.is_empty() && done.off.is_empty() {
        true => Exit::Ok,
        false => Exit::Partial,
    })
}

/// A file that somebody else wrote, or edited, is his.
fn refuse_edited(target: &Path, force: bool) -> Result<(), Failure> {
    let text = match fs::read(target) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(from_io(target.display(), &error)),
    };
    if force || is_untouched(&text) {
        return Ok(());
    }
    Err(Failure::new(
        Exit::Refused,
        format!("{} was edited, or not written by import", target.display()),
    )
    .help("give the file another name to keep it, or add --force to replace it"))
}

/// The jails of the other files. A file that is no TOML has none.
fn taken(folder: &Path) -> Result<BTreeMap<String, PathBuf>, Failure> {
    let mut taken = BTreeMap::new();
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(taken),
        Err(error) => return Err(from_io(folder.display(), &error)),
    };
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if !name.ends_with(".toml") || name.starts_with('.') || name == FILE {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap_or_default();
        let table: toml::Table = text.parse().unwrap_or_default();
        if let Some(toml::Value::Table(jails)) = table.get("jail") {
            taken.extend(jails.keys().map(|jail| (jail.clone(), path.clone())));
        }
    }
    Ok(taken)
}

/// What guard would not read back is not written.
fn read_back(done: &Import) -> Result<(), Failure> {
    let failed = |error: io::Error| from_io("cannot try the file in a temporary folder", &error);
    let etc = tempfile::tempdir().map_err(failed)?;
    let folder = etc.path().join(FOLDER);
    fs::create_dir(&folder).map_err(failed)?;
    fs::write(folder.join(FILE), &done.text).map_err(failed)?;
    let read = jails::read(etc.path(), &[]);
    let is_whole = done.jails.iter().all(|jail| read.jails.contains_key(jail));
    if read.problems.is_empty() && is_whole {
        return Ok(());
    }
    Err(Failure::new(
        Exit::Failed,
        format!(
            "the jails made from fail2ban's cannot be read back; nothing was written\n{}",
            read.problems
        ),
    )
    .help("this is a bug in guard: write the jails by hand, and report it"))
}

fn report(global: &Global, target: &Path, done: &Import, bans: &CarriedBans, output: &mut Output) {
    let mut warnings: Vec<String> = done
        .warnings
        .iter()
        .map(|problem| match &problem.help {
            Some(help) => format!("{problem}\n  help: {help}"),
            None => problem.to_string(),
        })
        .collect();
    warnings.extend(bans.warnings.iter().cloned());
    output.warnings(&warnings);
    output.show(
        |out| {
            if global.dry_run {
                writeln!(out, "would write {}:\n\n{}", target.display(), done.text)?;
                if bans.number > 0 {
                    writeln!(out, "would carry over {} running bans", bans.number)?;
                }
                return Ok(());
            }
            let number = done.jails.len();
            let noun = if number == 1 { "jail" } else { "jails" };
            let names = done.jails.join(", ");
            writeln!(out, "wrote {}: {number} {noun} ({names})", target.display())?;
            if bans.number > 0 {
                writeln!(
                    out,
                    "carried over {} running bans, with the time that is left",
                    bans.number
                )?;
            }
            for (what, jails) in [("left out", &done.left_out), ("not enabled", &done.off)] {
                if !jails.is_empty() {
                    writeln!(out, "{what}: {}", jails.join(", "))?;
                }
            }
            if !done.stock_filters.is_empty() {
                writeln!(
                    out,
                    "keep the files of fail2ban: filters are read from there ({})",
                    done.stock_filters.join(", ")
                )?;
            }
            writeln!(out, "next: systemctl disable --now fail2ban")?;
            writeln!(out, "      guardctl jail list")
        },
        || {
            json!({
                "dry_run": global.dry_run,
                "file": target,
                "jails": done.jails,
                "off": done.off,
                "left_out": done.left_out,
                "stock_filters": done.stock_filters,
                "warnings": warnings,
                "bans": bans.number,
                "text": done.text,
            })
        },
    );
}
