//! The command line.

use std::path::PathBuf;

use clap::{Args as Group, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

/// XDP firewall: drops everything that policy does not allow, before the kernel's network stack.
#[derive(Debug, Parser)]
#[command(name = "guardctl", version, after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    pub(super) global: Global,
    #[command(subcommand)]
    pub(super) command: Command,
}

const EXAMPLES: &str = "\
Examples:
  guardctl allow 22/tcp                     open a port
  guardctl allow http                       the same by name
  guardctl allow 1.1.1.1 9000               one address to one port
  guardctl allow from 10.0.0.0/8 to any port 5432 proto tcp comment 'db'
  guardctl deny from 203.0.113.0/24         close everything to a network
  guardctl enable                           turn it on (allow your SSH first)
  guardctl status numbered                  what is in force
  guardctl delete 2                         by number
  guardctl stats --watch                    what is dropped, port by port

Exit codes: 0 ok, 1 failed, 2 usage, 3 inactive, 4 not permitted, 5 bad configuration, 6 not found,
7 refused (would lock out), 8 partly unprotected, 9 kernel or driver cannot, 10 foreign XDP program,
11 state of another version, 13 no BPF file system.

Folders: GUARD_ETC (/etc/guard), GUARD_STATE (/var/lib/guard), GUARD_RUN (/run/guard),
GUARD_BPFFS (/sys/fs/bpf/guard).";

/// Options of every command.
#[derive(Debug, Group)]
pub(super) struct Global {
    /// Print JSON: one object with "schema": 1
    #[arg(long, short = 'j', global = true)]
    pub(super) json: bool,
    /// Answer questions with yes; overrides no refusal
    #[arg(long, short = 'y', global = true)]
    pub(super) yes: bool,
    /// Go on although it would cut an SSH session
    #[arg(long, global = true)]
    pub(super) force: bool,
    /// Say what would happen and change nothing
    #[arg(long, global = true)]
    pub(super) dry_run: bool,
    /// Print nothing when all is well
    #[arg(long, short = 'q', global = true)]
    pub(super) quiet: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Turn guard on
    Enable {
        /// Interface to protect; repeat for several. Default: those with default routes. Saved.
        #[arg(long, short = 'i', value_name = "NAME", num_args = 1..)]
        iface: Vec<String>,
    },
    /// Turn guard off; the policy stays
    Disable,
    /// Show what is in force; exit 0 active, 3 inactive, 8 partly unprotected
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
    },
    /// Add a rule that drops packets
    #[command(after_help = GRAMMAR)]
    Deny {
        /// The rule
        #[arg(required = true, value_name = "RULE")]
        words: Vec<String>,
    },
    /// Add a rule at a number: `insert 1 deny from 203.0.113.7`
    #[command(after_help = GRAMMAR)]
    Insert {
        /// Number that the rule will have
        number: usize,
        /// `allow` or `deny`, then the rule
        #[arg(required = true, value_name = "RULE")]
        words: Vec<String>,
    },
    /// Add a rule before all others: `prepend deny from 203.0.113.7`
    #[command(after_help = GRAMMAR)]
    Prepend {
        /// `allow` or `deny`, then the rule
        #[arg(required = true, value_name = "RULE")]
        words: Vec<String>,
    },
    /// Delete a rule by number or by its words: `delete 3`, `delete allow 22/tcp`
    Delete {
        /// Number, or `allow`/`deny` and the rule
        #[arg(required = true, value_name = "NUMBER|RULE")]
        words: Vec<String>,
    },
    /// What happens to packets that no rule matches
    Default {
        /// deny (as it should be) or allow
        #[arg(value_enum)]
        action: DefaultWord,
        /// `incoming`, as ufw writes it
        direction: Option<String>,
    },
    /// Sources that are never banned or limited; opens no port
    Never {
        #[command(subcommand)]
        action: Never,
    },
    /// Put the policy files into force
    Reload,
    /// Look for mistakes in the policy files, or in one file; changes nothing, needs no root
    Check {
        /// A policy file
        file: Option<PathBuf>,
    },
    /// Packets passed and dropped, by port and by reason
    Stats {
        /// Show it again every SECONDS
        #[arg(long, short = 'w', value_name = "SECONDS", num_args = 0..=1, default_missing_value = "1")]
        watch: Option<u64>,
        /// Every port, not only the busiest
        #[arg(long, short = 'a')]
        all: bool,
    },
    /// What listens here and what containers publish, and who can reach it
    Audit,
    /// What becomes of a packet, why, and what would let it in; moves no counter
    #[command(after_help = EXPLAIN)]
    Explain {
        /// Ask this policy file instead of the running firewall; needs no root
        #[arg(long, short = 'f', value_name = "FILE")]
        file: Option<PathBuf>,
        /// The packet
        #[arg(required = true, value_name = "PACKET")]
        words: Vec<String>,
    },
    /// Versions of program, ABI and BPF object
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

const EXPLAIN: &str = "\
Packets:
  ADDRESS PORT[/PROTO]    203.0.113.7 22, 203.0.113.7 53/udp, 203.0.113.7 ping
  from ADDRESS [port N] [to ADDRESS] [port N] [proto P] [on IFACE] [flags syn,ack]
Without `to` it is sent to this host, without `proto` it is TCP, without `flags` a SYN.";

const GRAMMAR: &str = "\
Rules, as ufw writes them:
  PORT[/PROTO]            22, 22/tcp, 80,443/tcp, 6000:6007/udp, http, ssh/tcp
  ADDRESS [PORT[/PROTO]]  1.1.1.1 9000, 10.0.0.0/8, @office ssh   (source, then port)
  [in] [on IFACE] [proto P] [from ADDRESS] [to ADDRESS] [port PORT] [comment 'TEXT']
  ping                    echo requests; proto gre, proto 47: any IP protocol
A port without a protocol means tcp and udp. ADDRESS: address, prefix, any, or @set.";

#[derive(Debug, Subcommand)]
pub(super) enum Never {
    /// Add an address, a prefix or a set
    Add {
        /// 198.51.100.10, 10.0.0.0/8, @office
        entry: String,
    },
    /// Take one off
    #[command(alias = "delete")]
    Del {
        /// As it was added
        entry: String,
    },
    /// Show the list
    List,
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
    #[value(alias = "accept")]
    Allow,
    /// Drop it
    #[value(alias = "drop")]
    Deny,
}
