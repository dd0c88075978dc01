//! Moving in: the rules of ufw, firewalld, nftables or iptables become a policy of guard that lets in nothing more, with
//! a list of what guard has no words for and a comparison of both. Reads files and texts; writes and enables nothing.

pub mod answers;
pub mod chains;
pub mod condition;
pub mod files;
pub mod firewalld;
pub mod flatten;
pub mod iptables;
pub mod meaning;
pub mod nft;
pub mod other_firewalls;
mod own_matters;
pub mod packet;
pub mod policy;
pub mod reading;
pub mod saved;
pub mod ufw;

#[cfg(test)]
mod random_tests;
#[cfg(test)]
mod testing;

use std::path::Path;

use crate::{
    failure::{Exit, Failure},
    ruleset::model::{Policy, RuleAction},
};

use chains::{Firewall, Remark, SourceLine};
use meaning::{Meaning, Ours};
use reading::Reading;
use saved::Whence;

/// What would become of another firewall.
#[derive(Clone, Debug)]
pub struct Import {
    /// The other firewall's name.
    pub name: &'static str,
    /// Where its rules stand.
    pub from: String,
    /// Its rules.
    pub firewall: Firewall,
    /// The policy that lets in nothing more.
    pub policy: Policy,
    /// The policy as a file.
    pub text: String,
    /// What guard has no words for.
    pub left: Vec<Remark>,
    /// What is different, and nothing to worry about.
    pub notes: Vec<String>,
    /// What both say about packets.
    pub meaning: Meaning,
}

/// What would become of the rules of iptables and ip6tables.
///
/// # Errors
/// Exit 6 when there are none, 5 when they cannot be read.
pub fn of_iptables(whence: &Whence<'_>) -> Result<Import, Failure> {
    import(iptables::rules(whence)?)
}

/// What would become of ufw's rules.
///
/// # Errors
/// Exit 6 when there is no ufw, 5 when a file of it is damaged.
pub fn of_ufw(root: &Path) -> Result<Import, Failure> {
    import(ufw::read(root)?)
}

/// What would become of firewalld's zones.
///
/// # Errors
/// Exit 6 when there is no firewalld, 5 when a file of it is damaged.
pub fn of_firewalld(root: &Path) -> Result<Import, Failure> {
    import(firewalld::read(root)?)
}

/// What would become of the rules of nftables.
///
/// # Errors
/// Exit 6 when there are none, 5 when they cannot be read.
pub fn of_nft(whence: &Whence<'_>) -> Result<Import, Failure> {
    import(nft::rules(whence)?)
}

/// Makes a policy of what was read, reads it back and compares.
fn import(reading: Reading) -> Result<Import, Failure> {
    let Reading {
        name,
        from,
        firewall,
        mut left,
        mut notes,
    } = reading;
    let flat = flatten::flatten(&firewall)?;
    let policy = policy::policy_of(&flat);
    let body = policy::text_of(&policy);
    policy::read_back(&body, &policy)?;
    let ours = Ours::new(&policy)?;
    let meaning = meaning::compare(&firewall, &policy, &ours);
    // The one thing that an import must never do. Whoever reads this has found a bug.
    if meaning.looser > 0 {
        return Err(Failure::new(
            Exit::Failed,
            format!(
                "the policy made of these rules lets in more than they do ({} of {} packets); nothing was written",
                meaning.looser, meaning.asked
            ),
        )
        .help("this is a bug in guard: write the policy by hand, and report it"));
    }
    left.extend(flat.left);
    if meaning.stricter > 0 && left.is_empty() && flat.stock_left.is_empty() {
        let place = SourceLine {
            file: from.as_str().into(),
            line: 0,
        };
        left.push(
            Remark::new(&place, "guard lets in less than these rules do")
                .help("the lines with ! in the comparison say what"),
        );
    }
    left.sort_by(|one, two| (&one.place, &one.what).cmp(&(&two.place, &two.what)));
    left.dedup();
    notes.extend(
        flat.own_matters
            .iter()
            .map(|matter| matter.text().to_owned()),
    );
    if !flat.stock_left.is_empty() {
        notes.push(format!(
            "of the lines that {name} brings along, {} are about messages of IPv6 that no server needs (mobile hosts, \
             inverse and secure discovery); guard lets in nothing for them",
            flat.stock_left.len()
        ));
    }
    if policy
        .rules
        .iter()
        .any(|rule| matches!(rule.action, RuleAction::Limit(_)))
        && meaning.is_sample
    {
        notes.push("limits were compared by whom they are about, not by their numbers".to_owned());
    }
    Ok(Import {
        name,
        from,
        firewall,
        policy,
        text: body,
        left,
        notes,
        meaning,
    })
}
