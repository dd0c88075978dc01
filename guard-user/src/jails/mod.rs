//! Jails: how many failures of one source are too many, and how long it is shut out for them; which jails
//! there are, and what they read with. A jail itself knows no kernel, no logs and no clock: failures and
//! times are given to it, and it answers.

pub mod edit;
pub mod forgeable;
pub mod growth;
pub mod import;
pub mod jail;
mod parts;
pub mod past;
mod present;
pub mod proxies;
mod read;
pub mod settings;
pub mod span;
mod suspects;
mod words;

pub use growth::Growth;
pub use jail::{Ban, FailureCounts, FailureTime, FailureVerdict, Jail};
pub use parts::Parts;
pub use past::{BanRecord, Past};
pub use present::{check, configured, configured_through};
pub(crate) use read::files_in;
pub use read::{FOLDER, Jails, read, read_through};
pub use settings::{JailInput, JournalUse, Settings};
pub use words::KEYS;
