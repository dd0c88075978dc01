//! The words for when a rule ends, and for the ports of the sender.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{Parser, Read, fail, refused};
use crate::ruleset::{
    model::{PortRange, Traffic},
    traffic::{self, PortItem},
    until::Until,
};

impl Parser<'_> {
    /// Behind `--for` or `--until`, which stands at this place.
    pub(super) fn end(&mut self, at: usize) -> Read<()> {
        let (value, text) = self.value(at, "when the rule ends, e.g. --for 10m")?;
        let until = if self.words[at].eq_ignore_ascii_case("--for") {
            let wall = SystemTime::now().duration_since(UNIX_EPOCH);
            Until::after(text, wall.unwrap_or(Duration::ZERO))
        } else {
            Until::parse(text)
        };
        let until = until.map_err(|bad| fail(value, bad))?;
        match self.draft.until.replace(until) {
            Some(_) => Err(fail(at, refused::two_ends())),
            None => Ok(()),
        }
    }

    /// From `port` on, behind the source.
    pub(super) fn source_ports(&mut self) -> Read<()> {
        let keyword = self.next;
        self.next += 1;
        let (value, text) = self.value(keyword, "a port of the sender, e.g. 547")?;
        let ports = traffic::parse_ports(text, &self.scope.names.services);
        self.draft.source_ports = Some((value, ports.map_err(|bad| fail(value, bad))?));
        Ok(())
    }
}

/// What the rules are about that ask for these ports of the sender, and the ports. A line that says nothing of this
/// host may mean it all the same.
pub(super) fn of_sender(
    traffic: Vec<Traffic>,
    source_ports: Option<(usize, Vec<PortItem>)>,
    says_more: bool,
    warnings: &mut Vec<String>,
) -> Read<(Vec<Traffic>, Vec<PortRange>)> {
    let Some((at, ports)) = source_ports else {
        return Ok((traffic, Vec::new()));
    };
    let ranges = traffic::source_ranges(&ports);
    if !says_more {
        warnings.push(refused::only_source_port(&ranges));
    }
    let traffic = traffic.into_iter().map(traffic::with_source_ports);
    let traffic: Result<_, _> = traffic.collect();
    Ok((traffic.map_err(|bad| fail(at, bad))?, ranges))
}
