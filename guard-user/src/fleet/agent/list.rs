//! `guard-fleet hosts`: who is there, as every member may ask.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::{
    block_on,
    nats::{
        connect, connect_as,
        hosts::{LiveHost, live_hosts},
    },
};
use crate::{
    failure::{Exit, Failure},
    fleet::FleetSettings,
    layout::Layout,
};

/// List the hosts that are there
#[derive(Clone, Debug, Args)]
pub(super) struct HostsArgs {
    /// Of this group only
    #[arg(long)]
    group: Option<String>,
    /// One JSON object
    #[arg(long)]
    json: bool,
    /// tls://HOST:PORT [default: what this host has joined]
    #[arg(long, value_name = "URL", requires = "key")]
    server: Vec<String>,
    /// File of the key to connect with: publisher.nk
    #[arg(long, value_name = "FILE", requires = "server")]
    key: Option<PathBuf>,
    /// File of the authority that vouches for the servers
    #[arg(long, value_name = "FILE", requires = "server")]
    ca: Option<PathBuf>,
}

pub(super) fn hosts(layout: &Layout, args: &HostsArgs) -> Result<(), Failure> {
    let settings = FleetSettings::read(&layout.fleet())?.nats;
    let hosts = block_on(async {
        let client = match (&args.key, &settings) {
            (Some(key), _) => {
                connect_as(&args.server, key, args.ca.as_deref(), "_INBOX_publisher").await?
            }
            (None, Some(settings)) => connect(settings).await?,
            (None, None) => {
                let failure = Failure::new(Exit::NotFound, "this host has joined no fleet");
                return Err(failure.help("elsewhere: --server URL --key publisher.nk"));
            }
        };
        let hosts = live_hosts(&client, args.group.as_deref()).await;
        hosts.map_err(|fault| Failure::new(Exit::NoAnswer, fault.0))
    })?;
    if args.json {
        println!(
            "{}",
            json!({"hosts": hosts.iter().map(value).collect::<Vec<_>>()})
        );
        return Ok(());
    }
    println!("{:<40} {:<10} {:>8}  POLICY", "HOST", "VERSION", "SEEN");
    for host in &hosts {
        println!("{}", line(host));
    }
    Ok(())
}

fn line(host: &LiveHost) -> String {
    let policy = match &host.said.policy {
        None => "-".to_owned(),
        Some(policy) if policy.generation == 0 && policy.why.is_empty() => "none yet".to_owned(),
        Some(policy) => {
            let why = match policy.why.as_str() {
                "" => String::new(),
                why => format!(": {why}"),
            };
            format!("{} {}{why}", policy.generation, policy.step)
        }
    };
    let seen = format!("{} s ago", host.seconds_ago);
    let (member, version) = (host.member.to_string(), &host.said.version);
    format!("{member:<40} {version:<10} {seen:>8}  {policy}")
}

fn value(host: &LiveHost) -> serde_json::Value {
    json!({
        "host": host.member.to_string(),
        "version": host.said.version,
        "seen_s": host.seconds_ago,
        "policy": host.said.policy,
    })
}
