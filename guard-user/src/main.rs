//! The `guardctl` command: parse, run, exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    guard_user::cli::run(std::env::args_os())
}
