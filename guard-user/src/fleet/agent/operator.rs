//! What operators of a fleet do: make its streams, and lift a ban on every host.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use async_nats::Client;
use bytes::Bytes;
use clap::Args;
use ipnetwork::IpNetwork;
use serde_json::{Value, json};

use super::{
    ServerArgs, block_on,
    nats::{
        connect_as, store,
        stream::{HOSTS, POLICIES, STREAM, call, check, settings},
        subject::{STORED, of_lift},
    },
};
use crate::failure::{Exit, Failure};

/// So long a lift is kept for hosts that are cut off: as long as the longest ban.
const LIFT_S: u32 = crate::control::fleet::MOST_SECONDS;
/// For an acknowledgement.
const PATIENCE: Duration = Duration::from_secs(5);

/// Make the streams on servers that run, or say what is wrong with them
#[derive(Clone, Debug, Args)]
pub(super) struct PrepareArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// File of the key that `setup` wrote for this: admin.nk
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Copies of each record: 1 on one server, 3 on three
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=5))]
    replicas: u8,
}

/// Lift a ban on every host, whoever made it
#[derive(Clone, Debug, Args)]
pub(super) struct LiftArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// File of an operator's key: operator.nk
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The address or network, as it was banned
    network: String,
}

impl ServerArgs {
    pub(super) async fn connect(&self, key: &Path, inbox: &str) -> Result<Client, Failure> {
        connect_as(&self.server, key, self.ca.as_deref(), inbox).await
    }
}

fn unanswered(error: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::NoAnswer, error.to_string())
}

pub(super) fn prepare(args: &PrepareArgs) -> Result<(), Failure> {
    block_on(async {
        let client = args.server.connect(&args.key, "_INBOX_admin").await?;
        for name in [STREAM, HOSTS, POLICIES] {
            let info = call(&client, format!("$JS.API.STREAM.INFO.{name}"), Vec::new()).await;
            match info {
                Ok(found) => {
                    if name == STREAM {
                        check(&found["config"]).map_err(|fault| {
                            Failure::new(Exit::Refused, fault.0).help(
                                "delete the stream with the `nats` tool and prepare it again: the hosts publish \
                                 their bans anew",
                            )
                        })?;
                    }
                    println!("stream {name} is there");
                }
                Err(_) => {
                    let payload = settings(name, args.replicas).to_string();
                    let subject = format!("$JS.API.STREAM.CREATE.{name}");
                    call(&client, subject, payload.into_bytes())
                        .await
                        .map_err(unanswered)?;
                    println!("stream {name} is made, with {} copies", args.replicas);
                }
            }
        }
        Ok(())
    })
}

pub(super) fn lift(args: &LiftArgs) -> Result<(), Failure> {
    let wrong = |what: String| {
        Failure::new(Exit::Usage, what).help("write it as it is banned: 203.0.113.7, 2001:db8::/64")
    };
    let network: IpNetwork = args
        .network
        .parse()
        .map_err(|error| wrong(format!("{}: {error}", args.network)))?;
    if network.ip() != network.network() {
        return Err(wrong(format!("{network} has host bits set")));
    }
    block_on(async {
        let client = args.server.connect(&args.key, "_INBOX_operator").await?;
        // A number of its own: the same network may be lifted again.
        let id = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(1, |since| since.as_millis() as u64);
        let record: Value = json!({"v": 1, "id": id, "left": 0, "reason": ""});
        let subject = format!("{STORED}{}", of_lift(network));
        let payload = Bytes::from(record.to_string());
        match store(&client, subject, &payload, LIFT_S, PATIENCE).await {
            Some(Ok(())) => {
                println!(
                    "{network} is lifted on every host that is connected, and on others when they are"
                );
                Ok(())
            }
            Some(Err(why)) => Err(Failure::new(Exit::Refused, format!("the server: {why}"))),
            None => Err(unanswered("the server has not acknowledged it; try again")),
        }
    })
}
