//! A28: packets are seen as the filter counts them, with the reason and the rule; and whoever looks, in whatever way he
//! ends, costs the filter nothing afterwards.

mod capture;
mod ends;
mod monitor;
mod reasons;
mod scene;
