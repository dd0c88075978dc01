//! A5 and the control socket: the daemon may die, hang or be lied to; the firewall stays, and
//! commands know within seconds.

mod death;
mod lockout;
mod protocol;
mod scene;
mod signals;
