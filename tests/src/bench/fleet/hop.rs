//! The whole way: `guardctl ban` on one real guard, to the first packet that another one's kernel drops.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};

use super::load::Spread;
use crate::{bench::until_dropped::until_dropped, lab::FleetHost};

/// Has sources banned on `from`, until the time is over, and asks `to` as they do.
pub(super) fn measure(from: &FleetHost, to: &FleetHost, length: Duration) -> Result<Spread> {
    let lab = &to.lab;
    // All of 198.18.0.0/16 is the attacker.
    lab.wan
        .ip(&format!("route add 198.18.0.0/16 via {}", lab.attacker.v4));
    lab.attacker.ip("route add local 198.18.0.0/16 dev lo");
    let address = SocketAddr::new(lab.srv.v4, FleetHost::PORT);
    let begun = Instant::now();
    let took: Result<Vec<Duration>> = lab.attacker.run(|| {
        let mut took = Vec::new();
        while begun.elapsed() < length {
            let [high, low] = (took.len() as u16 + 1).to_be_bytes();
            let source = Ipv4Addr::new(198, 18, high, low);
            let mut command = None;
            let waited = until_dropped(source, address, || {
                let text = source.to_string();
                let words = ["ban", text.as_str(), "--for", "1h", "--quiet"];
                command = Some(from.guard.command(&words).spawn()?);
                Ok(())
            });
            if let Some(mut command) = command {
                let ended = command.wait()?;
                ensure!(ended.success(), "guardctl ban {source}: {ended}");
            }
            took.push(waited.with_context(|| format!("{source}: {}", to.daemon.said()))?);
        }
        Ok(took)
    });
    Ok(Spread::of(took?, 0))
}
