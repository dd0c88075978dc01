//! What is logged of the packets that are dropped.

use super::limit::Rate;

/// `[log]`: dropped packets go into the log of the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DropLog {
    /// Lines in so much time; what is above it is left out, and counted.
    pub rate: Rate,
}

impl DropLog {
    /// Where nothing is said of it: whoever tries port after port is seen at once, and a flood fills no disk.
    pub const RATE: Rate = Rate {
        count: 10,
        seconds: 1,
    };
}
