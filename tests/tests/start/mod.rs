//! A1: turning guard on, off and over cuts no session that lives, however idle, of the host or of a
//! container, though no rule allows any of them.

mod scene;
mod sessions;
