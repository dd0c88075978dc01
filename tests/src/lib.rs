//! What the tests of this package share: the loaded program under test (`harness`), hosts and real
//! programs in network namespaces (`lab`), a namespace for sockets alone (`local_net`), conversations
//! (`peers`), random frames (`frames`) and traffic of both directions (`traffic`), the reasons to skip
//! (`require`), a log of sshd (`sshd_log`), the demo, the benchmark and the pictures of the documents.

pub mod bench;
pub mod demo;
pub mod harness;
pub mod lab;
pub mod local_net;
pub mod pictures;
pub mod require;
pub mod sshd_log;

pub use guard_common::testing::peers;
pub use guard_user::ruleset::sample::{frames, traffic};
