//! The policy, what is kept over a reboot, and the clock.

use std::{
    fs,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use nix::sys::statvfs::{FsFlags, statvfs};

use super::Finding;
use crate::{
    controller::{Controller, Protection, Status},
    failure::Exit,
    ruleset::describe,
};

/// 2026-01-01, before this was written: an earlier time of day is wrong.
const WRITTEN: Duration = Duration::from_secs(1_767_225_600);
/// A change writes a few megabytes at most.
const ENOUGH: u64 = 32 << 20;

pub(super) fn examine(controller: &Controller, status: Option<&Status>) -> Vec<Finding> {
    let mut found: Vec<Finding> = status
        .map(|status| policy(controller, status))
        .unwrap_or_default();
    let layout = controller.layout();
    for folder in [&layout.etc, &layout.state] {
        found.extend(room(folder));
    }
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    if now < WRITTEN {
        found.push(
            Finding::note("clock", "the time of day is wrong: it is before 2026").remedy(
                "rules that end and the history need it: `timedatectl set-ntp true`; bans do not",
            ),
        );
    }
    found
}

fn policy(controller: &Controller, status: &Status) -> Vec<Finding> {
    let rules = describe::rule_count(status.rules.len());
    let mut found = match status.protection {
        Protection::Inactive => vec![
            Finding::note("policy", format!("guard is off; the files have {rules}"))
                .remedy("`guardctl setup` proposes a policy, `guardctl enable` turns guard on"),
        ],
        Protection::Absent => {
            let why = status.absence.as_deref().unwrap_or_default();
            vec![
                Finding::wrong(
                    "policy",
                    Exit::Partial,
                    format!("guard should be on, and no policy is in force: {why}"),
                )
                .remedy("correct that, then `guardctl load`"),
            ]
        }
        Protection::Active | Protection::Partial => vec![Finding::good(
            "policy",
            format!("{rules} in force, default {}", status.default),
        )],
    };
    if let Err(failure) = controller.load() {
        found.push(Finding::failed("policy", &failure));
    }
    if status.is_monitor() {
        found.push(
            Finding::note(
                "policy",
                "guard drops nothing: it only counts what it would drop",
            )
            .remedy("`guardctl default deny` enforces the policy"),
        );
    }
    if let Some(why) = &status.fallback {
        found.push(
            Finding::wrong(
                "policy",
                Exit::Partial,
                format!("a copy of the last policy is in force: {why}"),
            )
            .remedy("correct the files, then `guardctl reload`"),
        );
    }
    if status.protection.is_in_force() && controller.has_systemd() {
        match controller.service_status().load {
            Some(_) => found.push(Finding::good("boot", "guard-load.service is installed")),
            None => found.push(
                Finding::wrong(
                    "boot",
                    Exit::Partial,
                    "after a reboot guard is NOT in force",
                )
                .remedy("`guardctl service install`"),
            ),
        }
    }
    if !controller.has_systemd() {
        found.push(
            Finding::note(
                "boot",
                "systemd does not run here: nothing loads the policy after a reboot",
            )
            .remedy(
                "run `guardctl load` before the network comes up, and `guardctl daemon` after it",
            ),
        );
    }
    found
}

/// Is there room to write, as far as can be told without writing?
fn room(folder: &Path) -> Option<Finding> {
    let there = folder.ancestors().find(|path| path.exists())?;
    let info = statvfs(there).ok()?;
    let shown = folder.display();
    if info.flags().contains(FsFlags::ST_RDONLY) {
        let what =
            format!("{shown}: the file system is read-only; no change of the policy can be saved");
        return Some(
            Finding::wrong("files", Exit::Failed, what)
                .remedy("`mount -o remount,rw` where it is mounted"),
        );
    }
    let free = info.blocks_available() as u64 * info.fragment_size() as u64;
    if free < ENOUGH {
        let what = format!(
            "{shown}: {} MB are free; a change may not be saved",
            free >> 20
        );
        return Some(
            Finding::wrong("files", Exit::Failed, what).remedy("make room on that file system"),
        );
    }
    let is_plain = fs::metadata(folder).is_ok_and(|metadata| !metadata.is_dir());
    is_plain.then(|| {
        Finding::wrong("files", Exit::Failed, format!("{shown} is not a folder"))
            .remedy("move it away")
    })
}
