//! What has become of an interface that the program was put on.

use super::why::WhyGeneric;
use crate::host::XdpMode;

/// An attached interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attached {
    /// Its name.
    pub interface: String,
    /// Where the program runs.
    pub mode: XdpMode,
    /// Why it does not run in the driver.
    pub why_generic: Option<WhyGeneric>,
}
