//! What the daemon keeps true while nobody types: the policy on every interface, and proof that it filters.

pub(in crate::controller) mod filtering;
pub(in crate::controller) mod heal;
pub(in crate::controller) mod meanwhile;
