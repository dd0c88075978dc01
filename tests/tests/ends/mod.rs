//! Rules that end: by the kernel's clock with nobody alive, kept over everything that is not an end, and gone from the
//! files afterwards.

mod clock;
mod commands;
mod lockout;
mod packets;
mod removal;
mod scene;
