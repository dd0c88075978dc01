//! The command line.

use std::{ffi::OsString, net::IpAddr, path::PathBuf};

use clap::{Args as Group, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use super::{
    ban, crowdsec, f2b, feeds, filter, fleet,
    help::{CAPTURE, EXAMPLES, EXPLAIN, GRAMMAR, LIMIT, MONITOR, SETUP, VERIFY},
    import, jail, metrics,
    options::{Deadline, EndWords, Global, LabelWords},
    stats, top,
    watch::Which,
    web,
};

/// XDP firewall: drops everything that policy does not allow, before the kernel's network stack.
#[derive(Debug, Parser)]
#[command(name = "guardctl", version, after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    pub(super) global: Global,
    #[command(subcommand)]
    pub(super) command: Command,
}

/// Where the program runs on an interface.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum ModeWord {
    /// In the driver where that works, else generic
    Auto,
    /// In the driver
    Native,
    /// In the kernel's receive path: slower, but works on every interface
    Generic,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Turn guard on
    Enable {
        /// Interface to protect; repeat for several. Default: those with default routes. Saved.
        #[arg(long, short = 'i', value_name = "NAME", num_args = 1..)]
        iface: Vec<String>,
        /// Where the program runs on them. Saved
        #[arg(long, value_enum)]
        mode: Option<ModeWord>,
        /// Drop nothing, count what would be dropped (saves default = "monitor")
        #[arg(long)]
        monitor: bool,
        /// For tunnels: refuse unless the policy opens no port at all
        #[arg(long, conflicts_with = "monitor")]
        no_ingress: bool,
        #[command(flatten)]
        deadline: Deadline,
    },
    /// Turn guard off; the policy stays
    Disable,
    /// Run in the foreground: ban sources that fail too often in logs, and protect interfaces as they come and go
    Daemon {
        #[command(flatten)]
        asked: DaemonAsked,
    },
    /// Load the policy at boot, if guard was on; exits 8 if an interface is not there yet
    Load {
        /// Where a policy is in force, also put this version's program in the place of the one that runs, without a
        /// gap: what a package does when it is upgraded
        #[arg(long)]
        new_program: bool,
    },
    /// Put the program on an interface that has just appeared, if the policy means it: what udev runs
    #[command(hide = true)]
    Attach {
        /// Its number, as `ip link` shows it
        #[arg(value_name = "IFINDEX")]
        index: u32,
    },
    /// Ask the system's resolver for names, for whoever connects to the socket on standard input: what
    /// guard-names.service runs
    #[command(hide = true)]
    Resolver,
    /// Manage the systemd units that bring guard up after a reboot
    Service {
        /// What to do with the units
        #[arg(value_enum)]
        action: ServiceWord,
    },
    /// Show what is in force; exits 0 if active, 3 if off, 8 if partly unprotected or not in force although it
    /// should be
    Status {
        /// How to show it
        #[arg(value_enum)]
        view: Option<View>,
    },
    /// Add a rule that lets packets in
    #[command(after_help = GRAMMAR)]
    Allow {
        /// The rule
        #[arg(required = true, value_name = "RULE")]
        words: Vec<String>,
        #[command(flatten)]
        labels: LabelWords,
        #[command(flatten)]
        ends: EndWords,
        #[command(flatten)]
        deadline: Deadline,
    },
    /// Add a rule that drops packets
    #[command(after_help = GRAMMAR)]
    Deny {
        /// The rule
        #[arg(required = true, value_name = "RULE")]
        words: Vec<String>,
        #[command(flatten)]
        labels: LabelWords,
        #[command(flatten)]
        ends: EndWords,
        #[command(flatten)]
        deadline: Deadline,
    },
    /// Add a rule that lets packets in, but limits the new connections of each source
    #[command(after_help = LIMIT)]
    Limit {
        /// The rule; `rate 20/s`, `burst 40` (6 in 30 s, 6 at once, unless given)
        #[arg(required = true, value_name = "RULE")]
        words: Vec<String>,
        #[command(flatten)]
        labels: LabelWords,
        #[command(flatten)]
        ends: EndWords,
        #[command(flatten)]
        deadline: Deadline,
    },
    /// Insert a rule at a number: `insert 1 deny from 203.0.113.7`
    #[command(after_help = GRAMMAR)]
    Insert {
        /// Number that the rule will have, or the name of the rule that it will stand before
        #[arg(value_name = "NUMBER|NAME")]
        before: String,
        /// `allow`, `deny` or `limit`, then the rule
        #[arg(required = true, value_name = "RULE")]
        words: Vec<String>,
        #[command(flatten)]
        labels: LabelWords,
        #[command(flatten)]
        ends: EndWords,
        #[command(flatten)]
        deadline: Deadline,
    },
    /// Add a rule before all others: `prepend deny from 203.0.113.7`
    #[command(after_help = GRAMMAR)]
    Prepend {
        /// `allow`, `deny` or `limit`, then the rule
        #[arg(required = true, value_name = "RULE")]
        words: Vec<String>,
        #[command(flatten)]
        labels: LabelWords,
        #[command(flatten)]
        ends: EndWords,
        #[command(flatten)]
        deadline: Deadline,
    },
    /// Delete a rule by number, by name or by its words: `delete 3`, `delete office-ssh`, `delete allow 22/tcp`
    Delete {
        /// Number, name, or `allow`/`deny`/`limit` and the rule
        #[arg(required = true, value_name = "NUMBER|NAME|RULE")]
        words: Vec<String>,
        #[command(flatten)]
        labels: LabelWords,
        #[command(flatten)]
        ends: EndWords,
        #[command(flatten)]
        deadline: Deadline,
    },
    /// Take a rule out of force in its place, and put it back: `rule disable 3`, `rule enable office-ssh`
    Rule {
        #[command(subcommand)]
        action: Rules,
    },
    /// List the rules with numbers and names, all or those with a tag
    List {
        /// Only rules that have this tag
        #[arg(long, value_name = "TAG")]
        tag: Option<String>,
    },
    /// Set what happens to packets that no rule matches
    Default {
        /// deny (recommended), allow, or monitor (drop nothing, count what would be dropped)
        #[arg(value_enum)]
        action: DefaultWord,
        /// `incoming` or `input`, as ufw writes it
        direction: Option<String>,
        #[command(flatten)]
        deadline: Deadline,
    },
    /// Manage the sources that are never banned or limited; this opens no port
    Never {
        #[command(subcommand)]
        action: Never,
    },
    /// Shut sources out for a time, open sessions included: `ban 203.0.113.7 --for 1d`
    #[command(after_help = ban::HELP)]
    Ban {
        /// Addresses and prefixes
        #[arg(required = true, value_name = "SOURCE")]
        sources: Vec<String>,
        #[command(flatten)]
        sentence: ban::Sentence,
        /// The name of the program that bans; `unban --jail NAME` lifts its bans and no others
        #[arg(long, value_name = "NAME", value_parser = ban::jail_name)]
        jail: Option<String>,
    },
    /// Lift bans at once: `unban 203.0.113.7`, `unban --all`
    Unban {
        /// The sources, as they were banned
        #[arg(required_unless_present = "all", value_name = "SOURCE")]
        sources: Vec<String>,
        /// Lift every ban except those of feeds
        #[arg(long, conflicts_with = "sources")]
        all: bool,
        /// Lift only the bans that were made under this name
        #[arg(long, value_name = "NAME", value_parser = ban::jail_name)]
        jail: Option<String>,
    },
    /// List, export and import bans (default: list)
    Bans {
        #[command(subcommand)]
        action: Option<ban::Bans>,
    },
    /// Manage feeds, files whose networks are banned for as long as they list them ([[feed]] in guard.toml)
    /// (default: list)
    Feeds {
        #[command(subcommand)]
        action: Option<feeds::Feeds>,
    },
    /// Manage jails, which ban sources that fail too often in logs (default: list)
    #[command(after_help = jail::HELP)]
    Jail {
        #[command(subcommand)]
        action: Option<jail::Jails>,
    },
    /// Accept the verbs of fail2ban-client: status, set JAIL banip IP, unban IP, banned, …
    #[command(after_help = f2b::HELP)]
    F2b {
        /// As fail2ban-client takes them
        #[arg(
            required = true,
            trailing_var_arg = true,
            allow_hyphen_values = true,
            value_name = "WORD"
        )]
        words: Vec<String>,
    },
    /// List, check and test filters, which find failures in log lines
    Filter {
        #[command(subcommand)]
        action: filter::Filters,
    },
    /// Import the configuration of another program: `import fail2ban`
    Import {
        #[command(subcommand)]
        what: import::Imports,
    },
    /// Apply the policy files
    Reload {
        #[command(flatten)]
        deadline: Deadline,
    },
    /// Make one file the whole policy (it replaces guard.toml); without a file, the same as `reload`
    Apply {
        /// A policy file
        file: Option<PathBuf>,
        #[command(flatten)]
        deadline: Deadline,
    },
    /// Edit a copy of guard.toml, or of a file of guard.d or jails.d, in your editor; check it, show what changes, and
    /// apply it
    Edit {
        /// guard.toml (the default), guard.d/NAME.toml or jails.d/NAME.toml
        file: Option<PathBuf>,
        #[command(flatten)]
        deadline: Deadline,
    },
    /// Keep the pending change
    Confirm,
    /// Undo the pending change at once; or return to the previous policy, or to an entry of the history
    Rollback {
        /// Entry of `guardctl history`
        number: Option<u32>,
        #[command(flatten)]
        deadline: Deadline,
    },
    /// List the policies that were in force: when, by which command, confirmed or not
    History,
    /// Compare the policy in force with the files, an entry of the history, or a file
    Diff {
        /// Entry of `guardctl history`, or a policy file
        #[arg(value_name = "NUMBER|FILE")]
        against: Option<String>,
    },
    /// Check the policy files and jails, or one policy file, for mistakes; changes nothing and needs no root
    Check {
        /// A policy file
        file: Option<PathBuf>,
    },
    /// Show packets passed and dropped, by port, reason and interface, and bans by who made them
    #[command(after_help = stats::HELP)]
    Stats {
        #[command(flatten)]
        args: stats::StatsArgs,
    },
    /// Print metrics for Prometheus and the like, once
    #[command(after_help = metrics::HELP)]
    Metrics {
        #[command(flatten)]
        args: metrics::MetricsArgs,
    },
    /// Show what happens at this moment on a screen: ports, reasons, sources that are dropped, bans; keys ban a source
    #[command(after_help = top::HELP)]
    Top {
        #[command(flatten)]
        args: top::TopArgs,
    },
    /// Show packets that are dropped, limited, banned or answered, as it happens; under a flood a sample, with numbers
    #[command(after_help = MONITOR)]
    Monitor {
        #[command(flatten)]
        which: Which,
        /// Also packets that pass
        #[arg(long, short = 'a')]
        all: bool,
    },
    /// Write dropped packets into a pcapng file, with the reason of each as a comment
    #[command(after_help = CAPTURE)]
    Capture {
        /// The file; `-` is the standard output
        #[arg(long, short = 'w', value_name = "FILE")]
        write: PathBuf,
        #[command(flatten)]
        which: Which,
        /// Also packets that pass
        #[arg(long, short = 'a')]
        all: bool,
        /// The most bytes of each packet
        #[arg(long, short = 's', value_name = "BYTES", default_value_t = 256,
              value_parser = clap::value_parser!(u32).range(64..=1536))]
        snap_length: u32,
    },
    /// Show the program's own log, a line per decision: time, CPU, queue, record
    Trace {
        #[command(flatten)]
        which: Which,
        /// Also packets that pass
        #[arg(long, short = 'a')]
        all: bool,
    },
    Web(web::WebArgs),
    Fleet(fleet::FleetArgs),
    Crowdsec(crowdsec::CrowdsecArgs),
    /// Show what listens here, what containers publish, and who can reach it
    Audit,
    /// Look for what keeps guard from its work, and what to do about it; exits with the code of the first fault
    Doctor,
    /// Compare what the policy says with what another machine can reach: trust, but verify
    #[command(after_help = VERIFY)]
    Verify {
        /// Run the probes on this machine, by ssh; without it, show what to run
        #[arg(long, value_name = "SSH-HOST")]
        from: Option<String>,
        /// Address by which this host is known outside; repeat for several. Default: those of guarded interfaces
        #[arg(long, value_name = "ADDRESS")]
        to: Vec<IpAddr>,
        /// Address by which the other machine is known here, if it is behind NAT
        #[arg(long = "as", value_name = "ADDRESS", requires = "from")]
        known_as: Vec<IpAddr>,
        /// Program to use for ssh
        #[arg(long, value_name = "PROGRAM", default_value = "ssh", requires = "from")]
        ssh: OsString,
    },
    /// Propose a policy for this host, ask a few questions, and turn guard on
    #[command(after_help = SETUP)]
    Setup {
        /// Interface to protect; repeat for several. Default: those with default routes
        #[arg(long, short = 'i', value_name = "NAME", num_args = 1..)]
        iface: Vec<String>,
        #[command(flatten)]
        deadline: Deadline,
    },
    /// Explain what happens to a packet, why, and what would let it in; changes no counter
    #[command(after_help = EXPLAIN)]
    Explain {
        /// Ask this policy file instead of the running firewall; needs no root
        #[arg(long, short = 'f', value_name = "FILE")]
        file: Option<PathBuf>,
        /// The packet
        #[arg(required = true, value_name = "PACKET")]
        words: Vec<String>,
    },
    /// Show the versions of program, ABI and BPF object
    Version,
    /// Write the manual pages into a folder
    #[command(hide = true)]
    Man {
        /// The folder
        folder: PathBuf,
    },
    /// Print the completions for a shell
    #[command(hide = true)]
    Completions {
        /// bash, zsh, fish …
        #[arg(value_enum)]
        shell: Shell,
    },
    /// Anything else
    #[command(external_subcommand)]
    Other(Vec<String>),
}

#[derive(Debug, Subcommand)]
pub(super) enum Rules {
    /// Take a rule out of force; it stays in the file and keeps its number
    Disable {
        /// Its number or name
        #[arg(value_name = "NUMBER|NAME")]
        rule: String,
        #[command(flatten)]
        deadline: Deadline,
    },
    /// Put a rule back into force
    Enable {
        /// Its number or name
        #[arg(value_name = "NUMBER|NAME")]
        rule: String,
        #[command(flatten)]
        deadline: Deadline,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum Never {
    /// Add an address, a prefix or a set
    Add {
        /// 198.51.100.10, 10.0.0.0/8, @office
        entry: String,
    },
    /// Remove an entry
    #[command(alias = "delete")]
    Del {
        /// The entry, as it was added
        entry: String,
    },
    /// Show the list
    List,
}

/// What is wanted of a daemon that runs already.
#[derive(Clone, Copy, Debug, Group)]
#[group(multiple = false)]
pub(super) struct DaemonAsked {
    /// Show the state of the running daemon
    #[arg(long)]
    pub(super) status: bool,
    /// Stop the running daemon; the policy stays in force
    #[arg(long)]
    pub(super) stop: bool,
    /// Have the running daemon check the interfaces now
    #[arg(long)]
    pub(super) reconcile: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ServiceWord {
    /// Write and enable guard-load.service and guard.service
    Install,
    /// Disable and remove them
    Remove,
    /// Show whether they are installed
    Status,
}

/// How `status` shows the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum View {
    /// With their numbers
    Numbered,
    /// With numbers, the command that adds each rule, the files and the never list
    Verbose,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum DefaultWord {
    /// Let it in
    Allow,
    /// Drop it
    #[value(alias = "drop")]
    Deny,
    /// Drop nothing, count what would be dropped
    Monitor,
}
