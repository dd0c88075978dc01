//! What this build brings along for the kernel.

use crate::dataplane::object::Object;

/// The BPF object inside `guardctl`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EmbeddedObject {
    /// Tells builds apart.
    pub digest: u64,
    /// Its size.
    pub bytes: usize,
}

impl EmbeddedObject {
    /// That of this build.
    #[must_use]
    pub fn of_this_build() -> Self {
        Self {
            digest: Object::digest(),
            bytes: Object::size(),
        }
    }
}
