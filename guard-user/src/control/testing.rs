//! For tests and the fuzzer: what either end makes of bytes.

use std::io;

use futures_util::FutureExt as _;
use serde::{Serialize, de::DeserializeOwned};

use super::frame;

/// The value of the first frame, as the command reads it, and as the daemon does.
///
/// # Errors
/// Each for itself.
///
/// # Panics
/// When the daemon waits for more of what is all there.
pub fn read<T: DeserializeOwned>(bytes: &[u8]) -> [io::Result<T>; 2] {
    let (mut waiting, mut polled) = (bytes, bytes);
    let read = frame::read(&mut polled).now_or_never();
    [
        frame::read_blocking(&mut waiting),
        read.expect("nothing to wait for"),
    ]
}

/// A value as a frame.
///
/// # Errors
/// When it is longer than a frame may be.
pub fn write(value: &impl Serialize) -> io::Result<Vec<u8>> {
    frame::encode(value).map(|frame| frame.to_vec())
}
