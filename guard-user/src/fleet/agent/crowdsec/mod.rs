//! CrowdSec's LAPI: its decisions become records for the daemon, and what this host's jails ban becomes alerts, if it is a
//! machine there. Nothing that a LAPI says ends this process, and nothing that it leaves out lifts a ban.

mod bouncer;
mod client;
mod decisions;
mod go_duration;
mod known;
mod machine;
mod secret;
mod status;
mod tls;
mod trouble;
mod usage;

#[cfg(test)]
mod fake;
#[cfg(test)]
mod tests;

pub use status::CrowdsecStatus;

use bouncer::{Rhythm, Shared};
use client::{Asking, Client, Identity, Patience};

use crate::{
    control::fleet::{FleetRecord, OwnBan},
    failure::{Exit, Failure},
    fleet::settings::CrowdsecSettings,
};

/// Who takes records to the daemon.
#[expect(
    async_fn_in_trait,
    reason = "whoever implements it runs in the one thread of guard-fleet"
)]
pub trait Handover {
    /// At most [`crate::control::fleet::MOST_RECORDS`] of them. Returns when the daemon has settled each: taken, noted or
    /// refused. Those that came too fast are handed over again meanwhile.
    ///
    /// # Errors
    /// The daemon did not answer: everything is handed over again.
    async fn hand_over(&self, records: Vec<FleetRecord>) -> Result<(), Failure>;

    /// Which run of the daemon it is: another number knows nothing, and hears everything again.
    fn run(&self) -> u64 {
        0
    }
}

/// Who knows what this host bans itself.
#[expect(
    async_fn_in_trait,
    reason = "whoever implements it runs in the one thread of guard-fleet"
)]
pub trait JailBans {
    /// Waits for bans of this host that are new or have changed: all of them at first. Dropped while it waits, it has lost
    /// none.
    async fn next(&mut self) -> Vec<OwnBan>;
}

/// Does all of it, until it is dropped.
///
/// # Errors
/// What is wrong with the settings, at once. Nothing later.
pub async fn run<H: Handover, J: JailBans>(
    settings: &CrowdsecSettings,
    handover: &H,
    bans: &mut J,
    status: &CrowdsecStatus,
) -> Result<(), Failure> {
    let client = Client::new(settings, Patience::default())?;
    run_with(
        &client,
        handover,
        bans,
        status,
        Rhythm::default(),
        usage::WINDOW,
    )
    .await;
    Ok(())
}

async fn run_with<H: Handover, J: JailBans>(
    client: &Client,
    handover: &H,
    bans: &mut J,
    status: &CrowdsecStatus,
    rhythm: Rhythm,
    window: std::time::Duration,
) {
    let shared = Shared::default();
    let pushing = async {
        if client.settings().machine.is_some() {
            machine::push_for_ever(client, &shared, bans, status, rhythm).await;
        } else {
            // They must not pile up at whoever has them.
            loop {
                drop(bans.next().await);
            }
        }
    };
    tokio::join!(
        bouncer::pull_for_ever(client, &shared, status, rhythm),
        bouncer::hand_over_for_ever(handover, &shared, rhythm),
        usage::send_for_ever(client, &shared, window),
        pushing,
    );
}

/// Asks once, as a bouncer, and as a machine if this host is to be one: before the settings are written.
///
/// # Errors
/// Why the LAPI will not do.
pub async fn try_once(settings: &CrowdsecSettings) -> Result<(), Failure> {
    let client = Client::new(settings, Patience::default())?;
    let failed = |trouble: trouble::Trouble| {
        let (exit, help) = if trouble.is_about_us() {
            let known = "`cscli bouncers list` and `cscli machines list`, on the host of the LAPI, say whom it knows";
            (Exit::NotPermitted, known)
        } else {
            (
                Exit::NoAnswer,
                "does crowdsec run there, and is it the address of its LAPI (listen_uri)?",
            )
        };
        Failure::new(exit, format!("{}: {trouble}", settings.url)).help(help)
    };
    // Unlike a pull, this takes no delta away from a bouncer with the same key.
    let asking = Asking {
        method: hyper::Method::GET,
        path: "/v1/decisions?ip=192.0.2.1".to_owned(),
        identity: Identity::Bouncer,
        body: None,
    };
    client.ask_for(asking).await.map_err(failed)?;
    if settings.machine.is_some() {
        machine::log_in(&client).await.map_err(failed)?;
    }
    Ok(())
}
