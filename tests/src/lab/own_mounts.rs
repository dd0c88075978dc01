//! Programs that see other files than the machine's: with mounts of their own.

/// Words that start a shell which has them and runs this script; what follows is the script's arguments. The
/// mounts end with the last process that sees them.
#[must_use]
pub fn own_mounts(script: &str) -> [&str; 8] {
    [
        "unshare",
        "--mount",
        "--propagation",
        "private",
        "sh",
        "-c",
        script,
        "sh",
    ]
}
