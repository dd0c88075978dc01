//! `crowdsec`: enforcing what a CrowdSec decides. What talks to its LAPI is guard-fleet, a process of its own; joining asks
//! the LAPI once, with what was given.

use std::{fs, path::PathBuf};

use clap::{Args as Group, Subcommand};
use serde_json::json;

use super::{context::Context, readable::refuse_unreadable};
use crate::{
    failure::{Exit, Failure, from_io},
    fleet::settings::CrowdsecSettings,
    text::value::BadValue,
};

/// Below `crowdsec --help`.
const HELP: &str = "\
guard enforces the decisions \"ban\" for addresses and networks, in XDP; others are counted in `guardctl fleet status`. \
The never list wins, and nothing wider than a /24 (IPv6 /48) is taken. While the LAPI is away, what is known stays to \
its end.";

/// Enforce what a CrowdSec decides
#[derive(Debug, Group)]
#[command(after_help = HELP)]
pub(super) struct CrowdsecArgs {
    #[command(subcommand)]
    action: Crowdsec,
}

#[derive(Debug, Subcommand)]
enum Crowdsec {
    Join(JoinArgs),
    /// Ask the LAPI no more; what it decided stays to its end
    Leave,
}

/// Join a CrowdSec: its LAPI is asked once, and from then on every ten seconds
#[derive(Clone, Debug, Group)]
struct JoinArgs {
    /// http://127.0.0.1:8080, https://HOST:PORT or unix:/PATH
    url: String,
    /// File of the bouncer's key: `cscli bouncers add guard` prints it
    #[arg(long, value_name = "FILE", required_unless_present = "certificate")]
    key: Option<PathBuf>,
    /// File of the authority that vouches for the LAPI [default: those of the system]
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// File of this host's certificate, in the place of a key
    #[arg(
        long,
        value_name = "FILE",
        requires = "certificate_key",
        conflicts_with = "key"
    )]
    certificate: Option<PathBuf>,
    /// File of the certificate's key
    #[arg(long, value_name = "FILE", requires = "certificate")]
    certificate_key: Option<PathBuf>,
    /// Also make alerts of what this host's jails ban, as this machine: `cscli machines add MACHINE`
    #[arg(long, value_name = "MACHINE", requires = "password")]
    push: Option<String>,
    /// File of the machine's password
    #[arg(long, value_name = "FILE", requires = "push")]
    password: Option<PathBuf>,
}

pub(super) fn crowdsec(context: &mut Context<'_>, args: &CrowdsecArgs) -> Result<Exit, Failure> {
    match &args.action {
        Crowdsec::Join(args) => join(context, args),
        Crowdsec::Leave => leave(context),
    }
}

fn join(context: &mut Context<'_>, args: &JoinArgs) -> Result<Exit, Failure> {
    // Nothing to wait for if it cannot be written.
    refuse_a_second(context.controller.joined()?.crowdsec.as_ref())?;
    let full =
        |path: &PathBuf| fs::canonicalize(path).map_err(|error| from_io(path.display(), &error));
    let file = |path: &Option<PathBuf>| path.as_ref().map(full).transpose();
    let settings = CrowdsecSettings {
        url: args.url.clone(),
        key: file(&args.key)?,
        ca: file(&args.ca)?,
        certificate: file(&args.certificate)?,
        certificate_key: file(&args.certificate_key)?,
        machine: args.push.clone(),
        password: file(&args.password)?,
    };
    settings.check().map_err(usage)?;
    let files = [
        &settings.key,
        &settings.ca,
        &settings.certificate,
        &settings.certificate_key,
        &settings.password,
    ];
    for path in files.into_iter().flatten() {
        refuse_unreadable(context.controller.layout(), path)?;
    }
    try_once(&settings)?;
    let url = settings.url.clone();
    context.controller.change_joined(|joined| {
        refuse_a_second(joined.crowdsec.as_ref())?;
        joined.crowdsec = Some(settings);
        Ok(())
    })?;
    context.output.show(
        |out| {
            writeln!(out, "{url} answers, and is joined")?;
            writeln!(
                out,
                "`systemctl enable --now guard-fleet` enforces what it decides, `guardctl fleet status` shows it"
            )
        },
        || json!({"joined": true, "url": url}),
    );
    Ok(Exit::Ok)
}

fn leave(context: &mut Context<'_>) -> Result<Exit, Failure> {
    context
        .controller
        .change_joined(|joined| match joined.crowdsec.take() {
            Some(_) => Ok(()),
            None => Err(
                Failure::new(Exit::NotFound, "this host has joined no CrowdSec")
                    .help("`guardctl crowdsec join http://127.0.0.1:8080 --key FILE`"),
            ),
        })?;
    context.output.show(
        |out| {
            writeln!(
                out,
                "the LAPI is asked no more; what it decided stays to its end (`guardctl fleet quarantine crowdsec` lifts it)"
            )
        },
        || json!({"joined": false}),
    );
    Ok(Exit::Ok)
}

fn refuse_a_second(joined: Option<&CrowdsecSettings>) -> Result<(), Failure> {
    match joined {
        None => Ok(()),
        Some(crowdsec) => Err(Failure::new(
            Exit::Refused,
            format!("this host has joined the CrowdSec at {}", crowdsec.url),
        )
        .help("`guardctl crowdsec leave` first")),
    }
}

fn usage(bad: BadValue) -> Failure {
    let failure = Failure::new(Exit::Usage, bad.message);
    match bad.help {
        Some(help) => failure.help(help),
        None => failure,
    }
}

#[cfg(feature = "fleet")]
fn try_once(settings: &CrowdsecSettings) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| from_io("cannot ask the LAPI", &error))?;
    runtime.block_on(crate::fleet::agent::crowdsec::try_once(settings))
}

#[cfg(not(feature = "fleet"))]
fn try_once(_: &CrowdsecSettings) -> Result<(), Failure> {
    Err(Failure::new(
        Exit::Unsupported,
        "this guardctl was built without the feature fleet",
    )
    .help("the packages have it"))
}
