//! `import ufw` and the like: another firewall's rules as a policy. Shows the file and what it changes in meaning before
//! anything is written, and enables nothing.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use clap::Args;
use serde_json::json;

use super::{Context, is_untouched, write_atomically};
use crate::{
    cli::options::Global,
    failure::{Exit, Failure, from_io},
    moving_in::{self, Import, saved::Whence},
    output::Output,
    ruleset::{describe, source::MAIN_FILE},
    text::import_mark::marked,
};

/// Below `import ufw --help` and the like.
pub(super) const HELP: &str = "\
Shows the policy that lets in nothing more than these rules do, what both say about packets, and what guard has no words \
for. Writes it to guard.toml if there is none yet, or to the file named with --write; enables nothing, and leaves the \
other firewall as it is. Exits 8 if something could not be taken over, 6 if there is nothing to import, 5 if it cannot \
be read, 7 if the file is there and was edited.";

/// Where to read and where to write.
#[derive(Debug, Args)]
pub(in crate::cli) struct FirewallWords {
    /// Read DIR/etc/… instead of /etc/…
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Write the policy to FILE instead of guard.toml
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
}

/// Which firewall, and what was named of it.
#[derive(Clone, Copy, Debug)]
pub(super) enum MovedFrom<'a> {
    Ufw,
    Firewalld,
    Nft(Option<&'a Path>),
    Iptables {
        v4: Option<&'a Path>,
        v6: Option<&'a Path>,
    },
}

/// What becomes of the file.
enum Written {
    /// Nothing was to be written.
    Shown,
    /// It was written.
    Done,
    /// It is there, and was not to be replaced.
    Refused(Failure),
}

pub(super) fn import(
    context: &mut Context<'_>,
    from: &MovedFrom<'_>,
    words: &FirewallWords,
) -> Result<Exit, Failure> {
    let root = words.root.as_deref().unwrap_or(Path::new("/"));
    let done = match from {
        MovedFrom::Ufw => moving_in::of_ufw(root),
        MovedFrom::Firewalld => moving_in::of_firewalld(root),
        MovedFrom::Nft(file) => moving_in::of_nft(&Whence {
            root: words.root.as_deref(),
            file: *file,
            file_v6: None,
        }),
        MovedFrom::Iptables { v4, v6 } => moving_in::of_iptables(&Whence {
            root: words.root.as_deref(),
            file: *v4,
            file_v6: *v6,
        }),
    }?;
    let main = context.controller.layout().etc.join(MAIN_FILE);
    let target = words.write.clone().unwrap_or(main);
    let text = marked(
        done.name,
        Path::new(&done.from),
        &format!("\n{}", done.text),
    );
    let written = write(context.global, &target, &text)?;
    // Programs get one answer, which is the refusal.
    if !(context.global.json && matches!(written, Written::Refused(_))) {
        report(&done, &target, &text, &written, context.output);
    }
    match written {
        Written::Refused(failure) => Err(failure),
        Written::Shown | Written::Done => Ok(match done.left.is_empty() {
            true => Exit::Ok,
            false => Exit::Partial,
        }),
    }
}

fn write(global: &Global, target: &Path, text: &str) -> Result<Written, Failure> {
    if global.dry_run {
        return Ok(Written::Shown);
    }
    if let Some(refusal) = edited(target, global.force)? {
        return Ok(Written::Refused(refusal));
    }
    write_atomically(target, text).map_err(|error| error.failure())?;
    Ok(Written::Done)
}

/// A policy that somebody else wrote, or edited, is his; one without a word is nobody's.
fn edited(target: &Path, force: bool) -> Result<Option<Failure>, Failure> {
    let metadata = match fs::metadata(target) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(from_io(target.display(), &error)),
    };
    let refused = |what: &str, help: &str| {
        let message = format!("{} {what}; nothing was written", target.display());
        Ok(Some(Failure::new(Exit::Refused, message).help(help)))
    };
    // A FIFO would be waited for.
    if !metadata.is_file() {
        return refused("is not a file", "name another one with --write FILE");
    }
    let bytes = fs::read(target).map_err(|error| from_io(target.display(), &error))?;
    let text = String::from_utf8_lossy(&bytes);
    if force || text.trim().is_empty() || is_untouched(&text) {
        return Ok(None);
    }
    refused(
        "is there already, and was edited or not written by an import",
        "write elsewhere with --write FILE and look at the difference, or add --force to replace it",
    )
}

fn report(done: &Import, target: &Path, text: &str, written: &Written, output: &mut Output) {
    let left: Vec<String> = done.left.iter().map(ToString::to_string).collect();
    let meaning = &done.meaning;
    output.show(
        |out| {
            let verb = match written {
                Written::Shown => "would write",
                Written::Refused(_) => "did not write",
                Written::Done => "wrote",
            };
            let rules = describe::rule_count(done.policy.rules.len());
            writeln!(out, "{verb} {}: {rules}\n\n{text}", target.display())?;
            let theirs = done.name;
            writeln!(out, "what is open in {theirs}, and for whom (! where guard differs):\n")?;
            for row in &meaning.rows {
                if row.theirs == row.ours {
                    writeln!(out, "  {:<24} {}", row.what, row.theirs)?;
                } else {
                    writeln!(out, "! {:<24} {}, in guard: {}", row.what, row.theirs, row.ours)?;
                }
            }
            let number = if meaning.is_sample { "a sample of " } else { "" };
            writeln!(
                out,
                "\nboth were asked about {number}{} packets: guard drops {} that {theirs} lets in, and lets in {} that \
                 {theirs} drops",
                meaning.asked, meaning.stricter, meaning.looser
            )?;
            for note in &done.notes {
                writeln!(out, "note: {note}")?;
            }
            if !left.is_empty() {
                writeln!(out, "\nnot taken over, or not wholly:")?;
                for remark in &left {
                    writeln!(out, "  {}", remark.replace('\n', "\n  "))?;
                }
            }
            if let Written::Done = written {
                writeln!(out, "\nnext: guardctl check {}", target.display())?;
                writeln!(out, "      guardctl enable --confirm 60s")?;
            }
            Ok(())
        },
        || {
            let rows = meaning.rows.iter().map(|row| {
                json!({"what": row.what, "theirs": row.theirs, "guard": row.ours})
            });
            let left = done.left.iter().map(|remark| {
                json!({
                    "file": &*remark.place.file,
                    "line": remark.place.line,
                    "what": remark.what,
                    "help": remark.help,
                })
            });
            json!({
                "from": done.name,
                "file": target,
                "written": matches!(written, Written::Done),
                "text": text,
                "meaning": rows.collect::<Vec<_>>(),
                "asked": meaning.asked,
                "is_sample": meaning.is_sample,
                "stricter": meaning.stricter,
                "looser": meaning.looser,
                "notes": done.notes,
                "left": left.collect::<Vec<_>>(),
            })
        },
    );
}
