//! Usage metrics, which CrowdSec shows since 1.6: that this bouncer is there, and how many decisions it enforces. A LAPI
//! that does not know them is left in peace.

use std::time::{Duration, Instant};

use hyper::Method;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{
    bouncer::Shared,
    client::{Asking, Client, Identity},
    trouble::Trouble,
};

/// How often they are sent.
pub(super) const WINDOW: Duration = Duration::from_secs(15 * 60);

/// Sends them, until the LAPI does not know what that is.
pub(super) async fn send_for_ever(client: &Client, shared: &Shared, window: Duration) {
    let started = Timestamp::now();
    shared.first_pull().await;
    loop {
        sleep(window).await;
        let decisions = shared.known().count_in_force(Instant::now());
        let asking = Asking {
            method: Method::POST,
            path: "/v1/usage-metrics".to_owned(),
            identity: Identity::Bouncer,
            body: Some(metrics(decisions, started, window)),
        };
        // Whatever else fails is worth nothing to filtering: the next ones are on their way.
        if let Err(Trouble::Refused(404 | 405, _)) = client.ask_for(asking).await {
            return;
        }
    }
}

fn metrics(decisions: u64, started: Timestamp, window: Duration) -> Value {
    let now = Timestamp::now().as_second();
    json!({
        "remediation_components": [{
            "name": "guard",
            "type": "guard",
            "version": env!("CARGO_PKG_VERSION"),
            "os": {"name": "linux", "version": ""},
            "feature_flags": [],
            "utc_startup_timestamp": started.as_second(),
            "metrics": [{
                "meta": {"window_size_seconds": window.as_secs(), "utc_now_timestamp": now},
                "items": [{
                    "name": "active_decisions",
                    "value": decisions,
                    "unit": "ip",
                    "labels": {},
                }],
            }],
        }],
    })
}
