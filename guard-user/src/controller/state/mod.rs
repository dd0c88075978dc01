//! What controller and kernel have agreed on, on disk: policy files, what is in force in words, the change that is under way,
//! the history, what must survive a reboot, and the lock that every command takes.

pub(crate) mod absence;
pub(in crate::controller) mod applied;
pub(in crate::controller) mod devices;
pub(in crate::controller) mod ends;
pub(in crate::controller) mod fallback;
pub(in crate::controller) mod fleet_policy;
pub(in crate::controller) mod history;
pub(in crate::controller) mod host_names;
pub(in crate::controller) mod journal;
pub(crate) mod last_good;
pub(in crate::controller) mod lock;
pub(in crate::controller) mod policy_files;
pub(in crate::controller) mod quarantine;
