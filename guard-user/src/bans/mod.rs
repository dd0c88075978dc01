//! Sources that are shut out: what can be banned, for how long, what is protected, and the store that
//! remembers it. Needs no kernel.

pub mod feed;
pub mod ledger;
pub mod lines;
pub mod list;
pub mod overfull;
pub mod prefix;
pub mod protected;
pub mod rails;
pub mod settings;
pub mod store;
pub mod table;
pub mod target;
pub mod term;
pub mod wanted;

pub use lines::Lines;
pub use overfull::Overfull;
pub use prefix::Prefix;
pub use protected::Protected;
pub use rails::Breadth;
pub use store::Store;
pub use target::{BanTarget, Complaint};
pub use term::BanTerm;
pub use wanted::Wanted;
