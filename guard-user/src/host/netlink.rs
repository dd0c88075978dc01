//! Asking the kernel by netlink, one question after the other.

use std::io;

use rtnetlink::{Handle, new_connection};

/// Asks, and waits for the answers.
///
/// # Errors
/// When netlink does not answer, and what the questions come to.
pub(super) fn ask<T>(questions: impl AsyncFnOnce(Handle) -> io::Result<T>) -> io::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    runtime.block_on(async {
        let (connection, handle, _) = new_connection()?;
        tokio::spawn(connection);
        questions(handle).await
    })
}
