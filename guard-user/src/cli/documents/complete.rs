//! The reference has everything that there is.

use clap::CommandFactory as _;
use guard_common::abi::reason::Reason;

use super::{super::args::Args, document};
use crate::failure::Exit;

/// Fails with everything that `document` does not have as `code`.
fn expect(path: &str, names: impl IntoIterator<Item = String>) {
    let text = document(path).text;
    let missing: Vec<String> = names
        .into_iter()
        .filter(|name| !text.contains(&format!("`{name}`")))
        .collect();
    assert!(missing.is_empty(), "{path} lacks {}", missing.join(", "));
}

#[test]
fn the_reference_has_every_command() {
    let command = Args::command();
    let shown = command.get_subcommands().filter(|one| !one.is_hide_set());
    let mut names = Vec::new();
    for one in shown {
        let own = one
            .get_subcommands()
            .map(|two| format!("{} {}", one.get_name(), two.get_name()));
        let own: Vec<String> = own.collect();
        if own.is_empty() {
            names.push(one.get_name().to_owned());
        }
        names.extend(own);
    }
    expect("docs/reference/commands.md", names);
}

#[test]
fn the_reference_has_every_reason() {
    let labels = Reason::ALL.iter().map(|reason| reason.label().to_owned());
    expect("docs/reference/reasons.md", labels);
}

#[test]
fn the_reference_has_every_exit_code() {
    let text = document("docs/reference/exit-codes.md").text;
    for code in Exit::Ok as u8..=Exit::Pending as u8 {
        assert!(text.contains(&format!("\n| {code} |")), "no row for {code}");
    }
}
