//! The log of the program that traces, read by aya-log.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use aya::Ebpf;
use aya_log::EbpfLogger;
use log::{Log, Metadata, Record};

use crate::failure::{Exit, Failure};

/// A decision, as the program logged it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traced {
    /// Boot time in ns.
    pub boot_ns: u64,
    /// The CPU that it was on.
    pub cpu: u32,
    /// The queue of the interface.
    pub queue: u32,
    /// The interface.
    pub ifindex: u32,
    /// What was counted ([`guard_common::abi::record`]).
    pub record: u64,
    /// Length of the frame in bytes.
    pub frame_len: u32,
    /// Source and destination, of an untagged IP packet.
    pub ends: Option<(IpAddr, IpAddr)>,
}

impl Traced {
    /// Reads the line of a program.
    fn read(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let traced = Self {
            boot_ns: words.next()?.parse().ok()?,
            cpu: words.next()?.parse().ok()?,
            queue: words.next()?.parse().ok()?,
            ifindex: words.next()?.parse().ok()?,
            record: words.next()?.parse().ok()?,
            frame_len: words.next()?.parse().ok()?,
            ends: None,
        };
        let mut ends = words.filter_map(|word| word.parse().ok());
        Some(Self {
            ends: ends.next().zip(ends.next()),
            ..traced
        })
    }
}

/// Reads the log.
pub struct Tracer {
    logger: EbpfLogger<Sink>,
    lines: Arc<Mutex<Vec<Traced>>>,
}

/// Where aya-log puts the lines.
struct Sink(Arc<Mutex<Vec<Traced>>>);

impl Log for Sink {
    fn enabled(&self, _metadata: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        if let Some(traced) = Traced::read(&record.args().to_string()) {
            let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            lines.push(traced);
        }
    }

    fn flush(&self) {}
}

impl Tracer {
    /// Of a loaded object.
    pub(super) fn of(ebpf: &mut Ebpf) -> Result<Self, Failure> {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = Sink(Arc::clone(&lines));
        let logger = EbpfLogger::init_with_logger(ebpf, sink).map_err(|error| {
            Failure::new(
                Exit::Failed,
                format!("cannot read the program's log: {error}"),
            )
        })?;
        Ok(Self { logger, lines })
    }

    /// Hands over the lines since the last time: how many.
    pub(super) fn lines(&mut self, each: impl FnMut(Traced)) -> u64 {
        self.logger.flush();
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let many = lines.len() as u64;
        lines.drain(..).for_each(each);
        many
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_with_and_without_addresses() {
        let traced =
            Traced::read("123 1 0 7 281474976710656 60 203.0.113.7 192.0.2.1").expect("a line");
        assert_eq!(traced.ifindex, 7);
        let ends = ["203.0.113.7", "192.0.2.1"].map(|end| end.parse().expect("an address"));
        assert_eq!(traced.ends, Some((ends[0], ends[1])));
        let traced = Traced::read("123 1 0 7 4 60").expect("a line");
        assert_eq!((traced.record, traced.ends), (4, None));
        assert_eq!(Traced::read("123 1 0"), None);
    }
}
