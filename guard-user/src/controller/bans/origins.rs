//! How many bans hold, by who made them.

use std::collections::BTreeMap;

use crate::{
    bans::{
        BanTerm,
        store::{BanCounts, BanOrigin},
    },
    controller::Controller,
    failure::Failure,
};

/// The bans of one origin that hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginCount {
    /// Who made them.
    pub origin: BanOrigin,
    /// How many hold.
    pub in_force: u64,
    /// What is left of the one that ends first.
    pub first_end: BanTerm,
}

impl Controller {
    /// Bans by origin. The kernel counts what bans drop together, under the reason `banned`: an address may be
    /// banned by several.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn bans_by_origin(&self) -> Result<Vec<OriginCount>, Failure> {
        if !self.has_store_of_bans() {
            return Ok(Vec::new());
        }
        let (rows, now) = self.bans()?;
        let mut origins: BTreeMap<String, OriginCount> = BTreeMap::new();
        for row in rows {
            let left = row.end.left(&now);
            let count = origins
                .entry(row.origin.name())
                .or_insert_with(|| OriginCount {
                    origin: row.origin,
                    in_force: 0,
                    first_end: BanTerm::Permanent,
                });
            count.in_force += 1;
            count.first_end = sooner(count.first_end, left);
        }
        Ok(origins.into_values().collect())
    }
}

impl Controller {
    /// How many bans there are, by the table that holds them.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn ban_counts(&self) -> Result<BanCounts, Failure> {
        if !self.has_store_of_bans() {
            return Ok(BanCounts::default());
        }
        self.ban_session()?.store.counts()
    }
}

fn sooner(one: BanTerm, other: BanTerm) -> BanTerm {
    match (one, other) {
        (BanTerm::Permanent, other) | (other, BanTerm::Permanent) => other,
        (BanTerm::For(one), BanTerm::For(other)) => BanTerm::For(one.min(other)),
    }
}
