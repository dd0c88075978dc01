//! `fleet`: sharing bans with other hosts over NATS. What talks to the network is guard-fleet, a process of its own.

mod policy;
mod status;

use std::{
    fs,
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::Command,
};

use clap::{Args as Group, Subcommand};
use serde_json::json;

use super::{ban, context::Context, readable::refuse_unreadable};
use crate::{
    bans::store::BanOrigin,
    control::{Request, Response, client, unexpected},
    failure::{Exit, Failure, from_io},
    fleet::{Trust, settings::NatsSettings},
};

/// Below `fleet --help`.
const HELP: &str = "\
Whom one host's jails or operator ban, all hosts of the fleet drop within a second. Each host checks what it hears: \
its never list wins, nothing wider than a /24 (IPv6 /48) is taken, and no member bans more than 1000 at once, 50 \
a second and 10 000 at a time; beyond that it is quarantined. Without the network, what is known stays to its end.";

/// Share bans with other hosts
#[derive(Debug, Group)]
#[command(after_help = HELP)]
pub(super) struct FleetArgs {
    #[command(subcommand)]
    action: Option<Fleet>,
}

#[derive(Debug, Subcommand)]
enum Fleet {
    /// Show whether this host hears the others, and what it took of whom (exit 8: it does not)
    Status,
    Join(JoinArgs),
    /// Leave the fleet; what others banned stays to its end
    Leave,
    /// Say how far a group is believed: full, quorum N (as many of its hosts must agree) or watch
    Trust {
        /// The group
        group: String,
        /// full, quorum N or watch
        #[arg(required = true, num_args = 1..=2, value_name = "TRUST")]
        trust: Vec<String>,
    },
    /// Say who may publish the policy of this host, which then replaces guard.toml [default: nobody may]
    #[command(subcommand)]
    Policy(policy::PolicyAction),
    /// Check a policy, sign it for a group, and release it in waves (`guard-fleet publish --help`)
    #[command(disable_help_flag = true)]
    Publish {
        /// The policy, and what guard-fleet takes
        #[arg(
            required = true,
            trailing_var_arg = true,
            allow_hyphen_values = true,
            value_name = "FILE OPTIONS"
        )]
        words: Vec<String>,
    },
    /// List what other hosts banned here
    Bans,
    /// Take nothing of a member any more, and lift what it banned
    Quarantine {
        /// GROUP/HOST, or crowdsec
        member: String,
        /// Take its records again
        #[arg(long)]
        end: bool,
    },
    /// Whatever guard-fleet does: setup, prepare, hosts, lift …
    #[command(external_subcommand)]
    Other(Vec<String>),
}

/// Join a fleet: from now on bans are shared
#[derive(Clone, Debug, Group)]
struct JoinArgs {
    /// tls://HOST:PORT, nats://127.0.0.1:PORT; several for a cluster
    #[arg(required = true, value_name = "SERVER")]
    servers: Vec<String>,
    /// File of this host's key, as `guardctl fleet setup` made it
    #[arg(long, alias = "creds", value_name = "FILE")]
    key: PathBuf,
    /// Group of this host
    #[arg(long)]
    group: String,
    /// Name of this host in the fleet [default: its host name up to the first dot]
    #[arg(long)]
    host: Option<String>,
    /// File of the authority that vouches for the servers [default: those of the system]
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

pub(super) fn fleet(context: &mut Context<'_>, args: &FleetArgs) -> Result<Exit, Failure> {
    match &args.action {
        None | Some(Fleet::Status) => status::status(context),
        Some(Fleet::Join(args)) => join(context, args),
        Some(Fleet::Leave) => leave(context),
        Some(Fleet::Trust { group, trust }) => change_trust(context, group, &trust.join(" ")),
        Some(Fleet::Bans) => ban::list_of(context, |origin| matches!(origin, BanOrigin::Fleet(_))),
        Some(Fleet::Quarantine { member, end }) => quarantine(context, member, *end),
        Some(Fleet::Policy(action)) => policy::change(context, action),
        Some(Fleet::Publish { words }) => policy::publish(context, words),
        Some(Fleet::Other(words)) => Err(hand_on(words)),
    }
}

fn ask(context: &Context<'_>, request: Request) -> Result<Response, Failure> {
    client::ask(context.controller.layout(), request)
}

fn join(context: &mut Context<'_>, args: &JoinArgs) -> Result<Exit, Failure> {
    let host = match &args.host {
        Some(host) => host.clone(),
        None => own_name()?,
    };
    refuse_open_key(&args.key)?;
    let full =
        |path: &Path| fs::canonicalize(path).map_err(|error| from_io(path.display(), &error));
    let key = full(&args.key)?;
    let ca = args.ca.as_deref().map(full).transpose()?;
    for path in [Some(&key), ca.as_ref()].into_iter().flatten() {
        refuse_unreadable(context.controller.layout(), path)?;
    }
    let settings = context.controller.change_joined(|settings| {
        if let Some(nats) = &settings.nats {
            let failure = Failure::new(
                Exit::Refused,
                format!(
                    "this host has joined a fleet as {}/{}",
                    nats.group, nats.host
                ),
            );
            return Err(failure.help("`guardctl fleet leave` first"));
        }
        settings.nats = Some(NatsSettings {
            servers: args.servers.clone(),
            host,
            group: args.group.clone(),
            key,
            ca,
            // Its own group; of others it is said.
            policy_key: None,
            trust: [(args.group.clone(), Trust::Full)].into(),
        });
        Ok(())
    })?;
    let name = settings
        .nats
        .map(|nats| format!("{}/{}", nats.group, nats.host))
        .unwrap_or_default();
    context.output.show(
        |out| {
            writeln!(out, "joined as {name}; group {} is believed in full", args.group)?;
            writeln!(
                out,
                "`systemctl enable --now guard-fleet` starts sharing, `guardctl fleet status` shows it"
            )
        },
        || json!({"member": name}),
    );
    Ok(Exit::Ok)
}

/// A key that everybody on this host can read is nobody's.
fn refuse_open_key(path: &Path) -> Result<(), Failure> {
    let file = fs::metadata(path).map_err(|error| from_io(path.display(), &error))?;
    if !file.is_file() {
        return Err(Failure::new(
            Exit::Usage,
            format!("{}: is no file", path.display()),
        ));
    }
    if file.permissions().mode() & 0o007 != 0 {
        return Err(Failure::new(
            Exit::Refused,
            format!("{}: every user of this host can use it", path.display()),
        )
        .help(format!(
            "chown root:guard-fleet {0}; chmod 640 {0}",
            path.display()
        )));
    }
    Ok(())
}

fn own_name() -> Result<String, Failure> {
    let path = "/proc/sys/kernel/hostname";
    let name = fs::read_to_string(path).map_err(|error| from_io(path, &error))?;
    let short = name.trim().split('.').next().unwrap_or_default();
    Ok(short.to_ascii_lowercase())
}

fn leave(context: &mut Context<'_>) -> Result<Exit, Failure> {
    context
        .controller
        .change_joined(|settings| match settings.nats.take() {
            Some(_) => Ok(()),
            None => Err(not_joined()),
        })?;
    context.output.show(
        |out| {
            writeln!(
                out,
                "this host shares no bans any more; what others banned stays to its end (`guardctl fleet bans`)"
            )
        },
        || json!({"joined": false}),
    );
    Ok(Exit::Ok)
}

fn change_trust(context: &mut Context<'_>, group: &str, trust: &str) -> Result<Exit, Failure> {
    let trust: Trust = trust.parse().map_err(|bad: crate::text::value::BadValue| {
        let failure = Failure::new(Exit::Usage, bad.message);
        match bad.help {
            Some(help) => failure.help(help),
            None => failure,
        }
    })?;
    context.controller.change_joined(|settings| {
        let Some(nats) = &mut settings.nats else {
            return Err(not_joined());
        };
        nats.trust.insert(group.to_owned(), trust);
        Ok(())
    })?;
    context.output.show(
        |out| writeln!(out, "group {group}: {trust}"),
        || json!({"group": group, "trust": trust}),
    );
    Ok(Exit::Ok)
}

fn not_joined() -> Failure {
    Failure::new(Exit::NotFound, "this host has joined no fleet")
        .help("`guardctl fleet join tls://HOST:4222 --key FILE --group NAME`")
}

fn quarantine(context: &mut Context<'_>, member: &str, is_over: bool) -> Result<Exit, Failure> {
    let request = Request::FleetQuarantine {
        member: member.to_owned(),
        is_over,
    };
    let response = ask(context, request)?;
    let Response::Done = response else {
        return Err(unexpected(response));
    };
    let what = if is_over {
        "is believed again"
    } else {
        "is quarantined: nothing of it is taken, and what it banned is lifted"
    };
    context.output.show(
        |out| writeln!(out, "{member} {what}"),
        || json!({"member": member, "quarantined": !is_over}),
    );
    Ok(Exit::Ok)
}

/// What needs the network is guard-fleet's, which stands beside this program.
fn hand_on(words: &[String]) -> Failure {
    let beside = std::env::current_exe()
        .ok()
        .and_then(|path| path.canonicalize().ok())
        .map(|path| path.with_file_name("guard-fleet"))
        .filter(|path| path.is_file());
    let program = beside.unwrap_or_else(|| PathBuf::from("guard-fleet"));
    let error = Command::new(&program).args(words).exec();
    from_io(program.display(), &error).help("guard-fleet is a part of the package guardctl")
}
