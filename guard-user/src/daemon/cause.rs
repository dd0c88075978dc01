//! What sets the daemon going.

/// Why a round is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// The time has come.
    Tick,
    /// Something changed, or somebody asked: heal whatever is found.
    Requested,
}
