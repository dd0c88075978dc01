//! `trace`: the developer's view, the program's own log.

use std::io::{self, Write as _};

use guard_common::abi::{
    reason::Action,
    record::{Counted, ROW_MASK},
};
use serde_json::json;

use super::{
    context::Context,
    watch::{Viewer, Which, watch},
};
use crate::{
    controller::{Extent, Traced, Watch},
    failure::{Exit, Failure},
    output::{Output, stats::service_name},
};

pub(super) fn trace(
    context: &mut Context<'_>,
    which: &Which,
    is_all: bool,
) -> Result<Exit, Failure> {
    let mut viewer = Tracing {
        output: Output::new(context.global.json, context.global.quiet),
        left: which.count.unwrap_or(u64::MAX),
        is_read: true,
    };
    let filter = which.filter(is_all);
    watch(context, filter, Extent::Trace, which.length, &mut viewer)?;
    Ok(Exit::Ok)
}

struct Tracing {
    output: Output,
    left: u64,
    is_read: bool,
}

impl Viewer for Tracing {
    fn look(&mut self, watch: &mut Watch) -> Result<bool, Failure> {
        let mut lines = Vec::new();
        watch.lines(|line| lines.push(line));
        for line in lines {
            if self.left == 0 {
                break;
            }
            self.left -= 1;
            let interface = watch.interface(line.ifindex);
            self.is_read &= self.output.show(
                |out| writeln!(out, "{}", in_words(&line, &interface)),
                || {
                    let counted = Counted::of(line.record);
                    json!({
                        "boot_ns": line.boot_ns,
                        "cpu": line.cpu,
                        "queue": line.queue,
                        "interface": interface,
                        "bytes": line.frame_len,
                        "record": format!("{:#x}", line.record),
                        "row": line.record as u32 & ROW_MASK,
                        "reason": counted.map(|counted| counted.reason.label()),
                        "action": counted.map(|counted| counted.action.label()),
                        "service": counted.and_then(|counted| counted.service).map(service_name),
                        "source": line.ends.map(|(source, _)| source),
                        "destination": line.ends.map(|(_, destination)| destination),
                    })
                },
            );
        }
        Ok(self.is_read && self.left > 0)
    }

    fn second(&mut self, _watch: &mut Watch) -> Result<bool, Failure> {
        Ok(self.is_read)
    }

    fn is_active(&mut self, is_active: bool) {
        let what = if is_active { "on again" } else { "off" };
        // Nobody may read it; tracing goes on.
        writeln!(io::stderr(), "guardctl: guard is {what}").unwrap_or_default();
    }
}

/// `12345.678901234 cpu1 eth0:0 60 B drop default-drop 22/tcp 203.0.113.7 -> 192.0.2.1 record 0x1700000000`
fn in_words(line: &Traced, interface: &str) -> String {
    let (seconds, ns) = (line.boot_ns / 1_000_000_000, line.boot_ns % 1_000_000_000);
    let mut text = format!(
        "{seconds}.{ns:09} cpu{} {interface}:{} {} B",
        line.cpu, line.queue, line.frame_len
    );
    match Counted::of(line.record) {
        Some(counted) => {
            let would = if counted.is_monitored && counted.action == Action::Pass {
                "would-drop"
            } else {
                counted.action.label()
            };
            text.push_str(&format!(" {would} {}", counted.reason.label()));
            if let Some(service) = counted.service {
                text.push_str(&format!(" {}", service_name(service)));
            }
        }
        None => text.push_str(" unknown reason"),
    }
    if let Some((source, destination)) = line.ends {
        text.push_str(&format!(" {source} -> {destination}"));
    }
    text.push_str(&format!(" record {:#x}", line.record));
    text
}
