//! Memory and CPU time of a process, as the kernel says.

use std::fs;

use anyhow::{Context as _, Result};

/// A figure of /proc/PID/status in KB: `VmRSS:`, `VmHWM:`.
///
/// # Errors
/// When there is no such process.
pub fn kb(id: u32, name: &str) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{id}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let word = line.and_then(|line| line.split_whitespace().next());
    Ok(word.context("no memory is told")?.parse()?)
}

/// CPU time that it has had, in seconds.
///
/// # Errors
/// When there is no such process.
pub fn cpu_seconds(id: u32) -> Result<f64> {
    /// Of the kernel's clock for this, on every architecture.
    const TICKS: f64 = 100.0;
    let text = fs::read_to_string(format!("/proc/{id}/stat"))?;
    // The name in front may have spaces in it.
    let (_, rest) = text.rsplit_once(')').context("no line of stat")?;
    let words: Vec<&str> = rest.split_whitespace().collect();
    let ticks = |index: usize| -> Result<f64> {
        Ok(words.get(index).context("a short line of stat")?.parse()?)
    };
    Ok((ticks(11)? + ticks(12)?) / TICKS)
}
