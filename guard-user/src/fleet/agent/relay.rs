//! The daemon as what talks to CrowdSec needs it: every record settled, and every ban of this host's jails.

use std::time::Duration;

use tokio::time::sleep;

use super::{
    crowdsec::{Handover, JailBans},
    daemon::{DaemonLink, OwnFeed},
};
use crate::{
    control::fleet::{FleetRecord, OwnBan},
    failure::Failure,
};

impl Handover for DaemonLink {
    async fn hand_over(&self, mut records: Vec<FleetRecord>) -> Result<(), Failure> {
        while !records.is_empty() {
            let taken = self.send(records.clone()).await?;
            let longest = taken.later.iter().map(|later| later.seconds).max();
            let indexes: Vec<usize> = taken
                .later
                .iter()
                .map(|later| later.index as usize)
                .collect();
            let mut index = 0..;
            records.retain(|_| index.next().is_some_and(|index| indexes.contains(&index)));
            if let Some(seconds) = longest {
                sleep(Duration::from_secs(u64::from(seconds))).await;
            }
        }
        Ok(())
    }

    fn run(&self) -> u64 {
        Self::run(self)
    }
}

impl JailBans for OwnFeed {
    async fn next(&mut self) -> Vec<OwnBan> {
        Self::next(self).await.bans
    }
}
