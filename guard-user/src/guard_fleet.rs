//! The `guard-fleet` process.

use std::process::ExitCode;

fn main() -> ExitCode {
    guard_user::fleet::agent::run()
}
