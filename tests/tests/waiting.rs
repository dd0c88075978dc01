//! What mostly waits, for deadlines and for silence: six of these run at once.

mod boot;
mod confirm;
mod documents;
mod ends;
mod inspect;
