//! Samples of the counters, so that `stats --since` can tell what was counted from some moment on. The counters
//! themselves are never changed: a sample is subtracted from them.
//!
//! They lie in the run folder, and end with the boot as the counters do. The daemon takes one a minute.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use guard_common::abi::counters::Counter;
use serde::{Deserialize, Serialize};

use super::traffic::{Flows, InterfaceCounter, Traffic};
use crate::{
    controller::{Controller, ReasonCounter, ServiceCounter, SynCounts},
    failure::{Exit, Failure},
    state_file,
    text::staged::write_state,
};

/// How far apart samples are kept, up to which age: minutes for the last ones, hours for a day. Each distance is a
/// multiple of the one before, so that what was kept as younger is there to be kept as older.
const DISTANCES: [(Duration, Duration); 3] = [
    (Duration::from_secs(10 * 60), TrafficSample::EVERY),
    (Duration::from_secs(2 * 3600), Duration::from_secs(5 * 60)),
    (Duration::from_secs(25 * 3600), Duration::from_secs(3600)),
];
/// Services in a sample of the daemon's: a scan of all ports must not fill the run folder.
const MOST_SERVICES: usize = 4096;

/// The counters of a moment, in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrafficSample {
    instance: u64,
    /// Milliseconds since boot.
    pub boot_ms: u64,
    /// Seconds since 1970.
    pub at: u64,
    /// No service that is left out had more packets than this; 0 when none is.
    floor: u64,
    /// Row of the service; packets and bytes that passed, were dropped, would have been.
    services: Vec<(u32, [u64; 6])>,
    /// Value of the reason; packets and bytes, and those that passed all the same.
    reasons: Vec<(u8, [u64; 4])>,
    /// Port; answered, refused, out of state.
    syn_counts: Vec<(u16, [u64; 3])>,
    /// Created, sessions, evicted, refused, sockets asked.
    flows: [u64; 5],
    /// Name, number, packets, bytes.
    interfaces: Vec<(String, u32, u64, u64)>,
}

/// From which moment on `stats` counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// This long ago.
    Ago(Duration),
    /// This second since 1970.
    At(u64),
    /// The last `stats --reset`.
    Reset,
}

impl TrafficSample {
    /// Between two that the daemon takes.
    pub const EVERY: Duration = Duration::from_secs(60);

    /// All of it.
    #[must_use]
    pub fn whole(traffic: &Traffic) -> Self {
        Self::of(traffic, usize::MAX)
    }

    fn of(traffic: &Traffic, most: usize) -> Self {
        let mut services: Vec<&ServiceCounter> = traffic.services.iter().collect();
        let mut floor = 0;
        if services.len() > most {
            services.sort_by_key(|counter| std::cmp::Reverse(all_packets(counter)));
            floor = all_packets(services[most]);
            services.truncate(most);
        }
        let Flows {
            live: _,
            room: _,
            created,
            sessions,
            evicted,
            refused,
            socket_asked,
        } = traffic.flows;
        Self {
            instance: traffic.instance,
            boot_ms: traffic.boot_ms,
            at: traffic.at,
            floor,
            services: services.into_iter().map(service_row).collect(),
            reasons: traffic.reasons.iter().map(reason_row).collect(),
            syn_counts: traffic.syn_counts.iter().map(syn_row).collect(),
            flows: [created, sessions, evicted, refused, socket_asked],
            interfaces: traffic.interfaces.iter().map(interface_row).collect(),
        }
    }

    /// Is it of these counters?
    #[must_use]
    pub fn is_of(&self, traffic: &Traffic) -> bool {
        self.instance == traffic.instance && self.boot_ms <= traffic.boot_ms
    }

    /// What was counted from this sample to `now`; without what nothing was counted of. Services that the sample
    /// left out count at least as much as is sure.
    #[must_use]
    pub fn until(&self, now: &Traffic) -> Traffic {
        let services: BTreeMap<u32, [u64; 6]> = self.services.iter().copied().collect();
        let reasons: BTreeMap<u8, [u64; 4]> = self.reasons.iter().copied().collect();
        let syn_counts: BTreeMap<u16, [u64; 3]> = self.syn_counts.iter().copied().collect();
        let [created, sessions, evicted, refused, socket_asked] = self.flows;
        let services = now.services.iter().filter_map(|counter| {
            let then = services.get(&counter.service.row());
            let less = match then {
                Some(then) => less(service_row(counter).1, *then),
                // What it had by then is not known, and was no more than this.
                None => sure(service_row(counter).1, self.floor),
            };
            let [passed, dropped, monitored] = counters(less);
            let counter = ServiceCounter {
                service: counter.service,
                passed,
                dropped,
                monitored,
            };
            (all_packets(&counter) > 0).then_some(counter)
        });
        let reasons = now.reasons.iter().map(|counter| {
            let then = reasons.get(&(counter.reason as u8)).copied();
            let [counted, monitored] =
                counters(less(reason_row(counter).1, then.unwrap_or_default()));
            ReasonCounter {
                reason: counter.reason,
                counted,
                monitored,
            }
        });
        let syn_counts = now.syn_counts.iter().map(|row| {
            let then = syn_counts.get(&row.0).copied().unwrap_or_default();
            let [answered, refused, out_of_state] = less(syn_row(row).1, then);
            let counts = SynCounts {
                answered,
                refused,
                out_of_state,
            };
            (row.0, counts)
        });
        let syn_counts = syn_counts.filter(|(_, counts)| *counts != SynCounts::default());
        let interfaces = now.interfaces.iter().map(|interface| {
            let is_same = |then: &&(String, u32, u64, u64)| {
                then.0 == interface.name && then.1 == interface.index && then.2 <= interface.packets
            };
            let then = self.interfaces.iter().find(is_same);
            let (packets, bytes) = then.map_or((0, 0), |then| (then.2, then.3));
            InterfaceCounter {
                packets: interface.packets.saturating_sub(packets),
                bytes: interface.bytes.saturating_sub(bytes),
                ..interface.clone()
            }
        });
        Traffic {
            services: services.collect(),
            reasons: reasons.collect(),
            syn_counts: syn_counts.collect(),
            interfaces: interfaces.collect(),
            flows: Flows {
                created: now.flows.created.saturating_sub(created),
                sessions: now.flows.sessions.saturating_sub(sessions),
                evicted: now.flows.evicted.saturating_sub(evicted),
                refused: now.flows.refused.saturating_sub(refused),
                socket_asked: now.flows.socket_asked.saturating_sub(socket_asked),
                ..now.flows
            },
            ..*now
        }
    }

    /// Services with at most so many packets are not in it; `None` when it has them all.
    #[must_use]
    pub fn left_out(&self) -> Option<u64> {
        (self.floor > 0).then_some(self.floor)
    }
}

impl Controller {
    /// Keeps a sample of these counters, and of the older ones those that are still wanted.
    ///
    /// # Errors
    /// When the run folder is full or not writable.
    pub fn keep_sample(&self, traffic: &Traffic) -> Result<(), Failure> {
        let folder = self.layout.samples();
        let sample = TrafficSample::of(traffic, MOST_SERVICES);
        write(
            &folder.join(format!("{:015}.json", sample.boot_ms)),
            &sample,
        )?;
        let kept = read_all(&folder);
        let wanted = wanted(
            kept.iter()
                .filter(|(_, sample)| sample.is_of(traffic))
                .map(|(_, sample)| sample.boot_ms),
            traffic.boot_ms,
        );
        for (path, sample) in kept {
            if !sample.is_of(traffic) || !wanted.contains(&sample.boot_ms) {
                // Tried again with the next sample.
                state_file::remove(&path).ok();
            }
        }
        Ok(())
    }

    /// Notes the counters as they are, for [`Since::Reset`].
    ///
    /// # Errors
    /// When the run folder is full or not writable.
    pub fn reset_view(&self, traffic: &Traffic) -> Result<(), Failure> {
        write(&self.layout.reset_sample(), &TrafficSample::whole(traffic))
    }

    /// The sample to count from; `None` when these counters are not as old as that, and all of them are meant.
    ///
    /// # Errors
    /// Exit 6 when there is no sample of that time.
    pub fn sample(&self, since: Since, now: &Traffic) -> Result<Option<TrafficSample>, Failure> {
        let ago = match since {
            Since::Reset => {
                let sample = read(&self.layout.reset_sample());
                return match sample.filter(|sample| sample.is_of(now)) {
                    Some(sample) => Ok(Some(sample)),
                    None => Err(Failure::new(
                        Exit::NotFound,
                        "these counters have not been marked by `guardctl stats --reset`",
                    )
                    .help("counters begin anew with `enable` and with a reboot, and marks end with them")),
                };
            }
            Since::Ago(ago) => ago,
            Since::At(at) if at > now.at => {
                return Err(
                    Failure::new(Exit::Usage, "--since: that moment is yet to come")
                        .help("write how long ago: --since 10m"),
                );
            }
            Since::At(at) => Duration::from_secs(now.at - at),
        };
        let began_ago = now
            .began
            .map(|began| Duration::from_secs(now.at.saturating_sub(began)));
        if began_ago.is_some_and(|began| began <= ago) {
            return Ok(None);
        }
        let mut samples: Vec<TrafficSample> = read_all(&self.layout.samples())
            .into_iter()
            .map(|(_, sample)| sample)
            .filter(|sample| sample.is_of(now))
            .collect();
        samples.sort_by_key(|sample| sample.boot_ms);
        let wanted = now.boot_ms.saturating_sub(ago.as_millis() as u64);
        let at = samples.partition_point(|sample| sample.boot_ms <= wanted);
        // The last before that moment, so that nothing is missing; else the first there is.
        let nearest = samples.into_iter().nth(at.saturating_sub(1));
        nearest.map(Some).ok_or_else(|| {
            Failure::new(Exit::NotFound, "there are no samples of the counters yet").help(
                "the daemon takes one a minute (`systemctl start guard`); without it, `guardctl stats --reset` \
                 marks a moment, and `--since reset` counts from there",
            )
        })
    }
}

/// Which of these moments are kept at `now`: the oldest of each stretch.
fn wanted(moments: impl Iterator<Item = u64>, now: u64) -> BTreeSet<u64> {
    let mut stretches: BTreeMap<(usize, u64), u64> = BTreeMap::new();
    for moment in moments {
        let age = Duration::from_millis(now.saturating_sub(moment));
        let found = DISTANCES
            .iter()
            .enumerate()
            .find(|(_, (upto, _))| age <= *upto);
        let Some((at, (_, distance))) = found else {
            continue;
        };
        let oldest = stretches
            .entry((at, moment / distance.as_millis() as u64))
            .or_insert(moment);
        *oldest = moment.min(*oldest);
    }
    stretches.into_values().collect()
}

fn write(path: &Path, sample: &TrafficSample) -> Result<(), Failure> {
    let text = serde_json::to_string(sample)
        .map_err(|error| Failure::new(Exit::Failed, error.to_string()))?;
    write_state(path, &text).map_err(|error| error.failure())
}

/// Whatever else stands there is no sample.
fn read(path: &Path) -> Option<TrafficSample> {
    serde_json::from_slice(&state_file::read(path).ok()?).ok()
}

fn read_all(folder: &Path) -> Vec<(PathBuf, TrafficSample)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let samples = entries.filter_map(|entry| {
        let path = entry.path();
        read(&path).map(|sample| (path, sample))
    });
    samples.collect()
}

fn all_packets(counter: &ServiceCounter) -> u64 {
    counter.passed.packets + counter.dropped.packets + counter.monitored.packets
}

fn service_row(counter: &ServiceCounter) -> (u32, [u64; 6]) {
    let [passed, dropped, monitored] = [counter.passed, counter.dropped, counter.monitored];
    let row = [
        passed.packets,
        passed.bytes,
        dropped.packets,
        dropped.bytes,
        monitored.packets,
        monitored.bytes,
    ];
    (counter.service.row(), row)
}

fn reason_row(counter: &ReasonCounter) -> (u8, [u64; 4]) {
    let ReasonCounter {
        reason,
        counted,
        monitored,
    } = *counter;
    let row = [
        counted.packets,
        counted.bytes,
        monitored.packets,
        monitored.bytes,
    ];
    (reason as u8, row)
}

fn syn_row((port, counts): &(u16, SynCounts)) -> (u16, [u64; 3]) {
    let SynCounts {
        answered,
        refused,
        out_of_state,
    } = *counts;
    (*port, [answered, refused, out_of_state])
}

fn interface_row(interface: &InterfaceCounter) -> (String, u32, u64, u64) {
    let InterfaceCounter {
        name,
        index,
        mode: _,
        packets,
        bytes,
    } = interface;
    (name.clone(), *index, *packets, *bytes)
}

/// What is sure to have come since a service had at most `floor` packets. Of its bytes, nothing is.
fn sure(row: [u64; 6], floor: u64) -> [u64; 6] {
    if floor == 0 {
        return row;
    }
    let mut left = floor;
    let mut row = row;
    for packets in [0, 2, 4] {
        let taken = row[packets].min(left);
        left -= taken;
        row[packets] -= taken;
        row[packets + 1] = 0;
    }
    row
}

fn less<const N: usize>(now: [u64; N], then: [u64; N]) -> [u64; N] {
    std::array::from_fn(|at| now[at].saturating_sub(then[at]))
}

/// Pairs of packets and bytes.
fn counters<const N: usize, const COUNTERS: usize>(row: [u64; N]) -> [Counter; COUNTERS] {
    const { assert!(N == 2 * COUNTERS) };
    std::array::from_fn(|at| Counter {
        packets: row[2 * at],
        bytes: row[2 * at + 1],
    })
}

#[cfg(test)]
mod tests;
