//! Real daemons, which wait for logs, deadlines and each other while both CPUs idle: four of these run at once.

mod addresses;
mod bans;
mod daemon;
mod docker;
mod fleet_attacks;
mod fleet_crowdsec;
mod jails;
mod metrics;
mod persistence;
