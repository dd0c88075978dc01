//! Waiting for events: by asking again until a deadline, never by sleeping and hoping.

use std::{
    thread,
    time::{Duration, Instant},
};

/// Between two questions.
const PAUSE: Duration = Duration::from_millis(10);

/// Asks until the answer is there; `None` when `limit` has passed without one.
pub fn within<T>(limit: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if Instant::now() >= deadline {
            return None;
        }
        thread::sleep(PAUSE);
    }
}

/// Waits at most ten seconds for something that must become true.
///
/// # Panics
/// When it does not.
pub fn until(what: &str, mut is_true: impl FnMut() -> bool) {
    let answer = within(Duration::from_secs(10), || is_true().then_some(()));
    assert!(answer.is_some(), "waited ten seconds for {what}");
}
