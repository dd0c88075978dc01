//! A28: one command says what becomes of a packet, why, and what would let it pass; another says who
//! reaches what listens. Neither moves anything.

mod audit;
mod errors;
mod exposed;
mod live;
mod opens;
mod quiet;
mod scene;
mod verdicts;
mod verify;
