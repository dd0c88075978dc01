//! Jails: how many failures of one source are too many, and how long it is shut out for them. Knows
//! no kernel, no logs and no clock: failures and times are given to it, and it answers.

pub mod growth;
pub mod import;
pub mod jail;
pub mod past;
mod read;
pub mod settings;
pub mod span;
mod suspects;
mod words;

pub use growth::Growth;
pub use jail::{Ban, Counts, Jail, Moment, Verdict};
pub use past::{Past, Record};
pub use read::{FOLDER, Jails, read};
pub use settings::{JournalUse, Settings, Watched};
