//! What was so at one moment, and what happened between two.

use std::{collections::BTreeMap, time::Instant};

use guard_common::abi::{
    counters::Counter,
    reason::{Action, Reason},
    service::ServiceKind,
};

use super::rates::{
    BansNow, Connections, CpuShare, History, InterfaceState, PendingChange, PortRates, Rate, Rates,
    ReasonRates, Totals,
};
use crate::{
    controller::{InterfaceStatus, Pending, RunTime, ServiceCounter, Traffic, TrafficSample},
    output::stats::service_name,
    ruleset::names::Names,
    text::value::plain,
};

/// Shortest time that rates are made of.
const SHORTEST: f64 = 0.001;

/// What was so at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The counters; `None` while guard is off.
    pub traffic: Option<Traffic>,
    /// Which generation is in force; 0 when none is.
    pub generation: u32,
    /// The change that waits for its confirmation.
    pub pending: Option<Pending>,
    /// What should be protected.
    pub interfaces: Vec<InterfaceStatus>,
    /// How long guard's programs ran; `None` when the kernel does not say.
    pub run_time: Option<RunTime>,
    /// Bans.
    pub bans: BansNow,
    /// What is not known, and why.
    pub notes: Vec<String>,
    /// When.
    pub taken: Instant,
}

impl Snapshot {
    /// What happened since `before`: but for sources, main reasons and histories, of which one moment says nothing.
    /// Counters that began anew meanwhile show nothing until the next time.
    #[must_use]
    pub fn since(&self, before: &Self) -> Rates {
        let Some(now) = &self.traffic else {
            return Rates {
                bans: self.bans.clone(),
                notes: self.notes.clone(),
                seconds: self.seconds_since(before),
                ..Rates::default()
            };
        };
        let counted = self.delta(before);
        let counted = counted.as_ref();
        let seconds = self.seconds_since(before);
        let rate = |counter: Counter| Rate::of(counter, seconds);
        let mut totals = Totals::default();
        for counter in counted.iter().flat_map(|counted| &counted.reasons) {
            let of = match counter.reason.action() {
                Action::Pass => &mut totals.passed,
                Action::Drop => &mut totals.dropped,
                Action::Answer => &mut totals.answered,
            };
            *of = of.plus(rate(counter.counted));
            totals.monitored = totals.monitored.plus(rate(counter.monitored));
        }
        let packets_of = |reason: Reason| {
            let mut reasons = counted.iter().flat_map(|counted| &counted.reasons);
            let found = reasons.find(|counter| counter.reason == reason);
            found.map_or(0.0, |found| {
                rate(found.counted).packets + rate(found.monitored).packets
            })
        };
        let flows = counted.map(|counted| counted.flows).unwrap_or_default();
        let mut ports: Vec<PortRates> = counted
            .iter()
            .flat_map(|counted| &counted.services)
            .map(|counter| port(counter, seconds))
            .collect();
        ports.sort_by(|one, other| other.packets().total_cmp(&one.packets()));
        Rates {
            at: now.at,
            seconds,
            active: self.generation != 0,
            generation: self.generation,
            pending: self.pending.map(|pending| PendingChange {
                generation: pending.generation,
                seconds_left: pending.seconds(),
                then: pending.then(),
            }),
            interfaces: self.interface_states(counted, seconds),
            totals,
            connections: Connections {
                incoming: flows.sessions as f64 / seconds,
                outgoing: flows.created as f64 / seconds,
                cookies: packets_of(Reason::SynCookie),
                out_of_state: packets_of(Reason::OutOfState),
            },
            cpu: self.cpu(before, seconds, totals),
            ports,
            reasons: reasons(now, counted, seconds),
            sources: Vec::new(),
            bans: self.bans.clone(),
            notes: self.notes.clone(),
        }
    }

    /// What was counted meanwhile; `None` when these are other counters.
    fn delta(&self, before: &Self) -> Option<Traffic> {
        let now = self.traffic.as_ref()?;
        let sample = TrafficSample::whole(before.traffic.as_ref()?);
        sample.is_of(now).then(|| sample.until(now))
    }

    fn seconds_since(&self, before: &Self) -> f64 {
        let passed = self.taken.saturating_duration_since(before.taken);
        passed.as_secs_f64().max(SHORTEST)
    }

    fn interface_states(&self, counted: Option<&Traffic>, seconds: f64) -> Vec<InterfaceState> {
        let states = self.interfaces.iter().map(|interface| {
            let InterfaceStatus {
                name,
                mode,
                why_generic: _,
                fault,
                replies,
            } = interface;
            let mut received = counted.iter().flat_map(|counted| &counted.interfaces);
            let received = received.find(|received| received.name == *name);
            let received = received.map_or_else(Counter::default, |received| Counter {
                packets: received.packets,
                bytes: received.bytes,
            });
            InterfaceState {
                name: plain(name),
                mode: mode.map_or("off", |mode| mode.label()),
                protected: mode.is_some() && *replies && fault.is_none(),
                fault: fault.map(|fault| fault.label()),
                received: Rate::of(received, seconds),
            }
        });
        states.collect()
    }

    fn cpu(&self, before: &Self, seconds: f64, totals: Totals) -> Option<CpuShare> {
        let (now, then) = (self.run_time?, before.run_time?);
        let time = now.time.saturating_sub(then.time).as_secs_f64();
        let count = now.count.saturating_sub(then.count);
        let Totals {
            passed,
            dropped,
            answered,
            monitored,
        } = totals;
        let packets = [passed, dropped, answered, monitored].map(|rate| rate.packets);
        if count == 0 {
            // Packets, and no run: the kernel does not measure.
            let is_quiet = packets.iter().sum::<f64>() == 0.0;
            return is_quiet.then_some(CpuShare {
                share: 0.0,
                nanoseconds: 0.0,
            });
        }
        Some(CpuShare {
            share: time / seconds,
            nanoseconds: time * 1e9 / count as f64,
        })
    }
}

impl PortRates {
    /// Packets per second, whatever became of them.
    #[must_use]
    pub fn packets(&self) -> f64 {
        self.passed.packets + self.dropped.packets + self.monitored.packets
    }
}

fn port(counter: &ServiceCounter, seconds: f64) -> PortRates {
    let service = counter.service;
    let names = &Names::system().services;
    let (protocol, port, name) = match service.kind() {
        ServiceKind::Tcp(port) => (Some("tcp"), Some(port), names.of_tcp(port)),
        ServiceKind::Udp(port) => (Some("udp"), Some(port), names.of_udp(port)),
        ServiceKind::Protocol(_) | ServiceKind::Icmp(_) | ServiceKind::Icmpv6(_) => {
            (None, None, None)
        }
    };
    PortRates {
        service,
        label: service_name(service),
        protocol,
        port,
        name: name.map(plain),
        passed: Rate::of(counter.passed, seconds),
        dropped: Rate::of(counter.dropped, seconds),
        monitored: Rate::of(counter.monitored, seconds),
        main_reason: None,
        history: History::default(),
    }
}

/// Those that any packet ever had, the busiest first.
fn reasons(now: &Traffic, counted: Option<&Traffic>, seconds: f64) -> Vec<ReasonRates> {
    let counted: BTreeMap<Reason, (Counter, Counter)> = counted
        .iter()
        .flat_map(|counted| &counted.reasons)
        .map(|counter| (counter.reason, (counter.counted, counter.monitored)))
        .collect();
    let mut reasons: Vec<ReasonRates> = now
        .reasons
        .iter()
        .map(|counter| {
            let (of, monitored) = counted.get(&counter.reason).copied().unwrap_or_default();
            ReasonRates {
                reason: counter.reason.label(),
                action: counter.reason.action().label(),
                counted: Rate::of(of, seconds),
                monitored: Rate::of(monitored, seconds),
                total: counter.counted.packets + counter.monitored.packets,
            }
        })
        .filter(|reason| reason.total > 0)
        .collect();
    let packets = |of: &ReasonRates| of.counted.packets + of.monitored.packets;
    reasons.sort_by(|one, other| {
        let by_rate = packets(other).total_cmp(&packets(one));
        by_rate.then(other.total.cmp(&one.total))
    });
    reasons
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use guard_common::abi::service::Service;

    use super::*;
    use crate::controller::ReasonCounter;

    fn counter(packets: u64) -> Counter {
        Counter {
            packets,
            bytes: 100 * packets,
        }
    }

    fn snapshot(instance: u64, after: Duration, dropped: u64) -> Snapshot {
        static BEGIN: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
        let begin = *BEGIN.get_or_init(Instant::now);
        Snapshot {
            traffic: Some(Traffic {
                instance,
                boot_ms: 1000 + after.as_millis() as u64,
                reasons: vec![ReasonCounter {
                    reason: Reason::DefaultDrop,
                    counted: counter(dropped),
                    monitored: Counter::default(),
                }],
                services: vec![ServiceCounter {
                    service: Service::tcp(22),
                    passed: Counter::default(),
                    dropped: counter(dropped),
                    monitored: Counter::default(),
                }],
                ..Traffic::default()
            }),
            generation: 3,
            pending: None,
            interfaces: Vec::new(),
            run_time: Some(RunTime {
                time: Duration::from_micros(dropped),
                count: dropped,
            }),
            bans: BansNow::default(),
            notes: Vec::new(),
            taken: begin + after,
        }
    }

    #[test]
    fn rates_are_what_was_counted_by_the_time_that_it_took() {
        let before = snapshot(1, Duration::ZERO, 1000);
        let rates = snapshot(1, Duration::from_secs(2), 3000).since(&before);
        assert_eq!(rates.totals.dropped.packets, 1000.0);
        assert_eq!(rates.totals.dropped.bits, 800_000.0);
        assert_eq!(rates.ports[0].label, "22/tcp");
        assert_eq!(rates.ports[0].name.as_deref(), Some("ssh"));
        assert_eq!(rates.ports[0].dropped.packets, 1000.0);
        assert_eq!(rates.reasons[0].total, 3000);
        let cpu = rates.cpu.expect("measured");
        assert_eq!((cpu.share * 1000.0).round(), 1.0);
        assert_eq!(cpu.nanoseconds.round(), 1000.0);
    }

    #[test]
    fn counters_that_began_anew_show_nothing_and_no_huge_number() {
        let before = snapshot(1, Duration::ZERO, 1_000_000);
        let anew = snapshot(2, Duration::from_secs(1), 5);
        let rates = anew.since(&before);
        assert_eq!(rates.totals, Totals::default());
        assert!(rates.ports.is_empty(), "{:?}", rates.ports);
        assert_eq!(rates.reasons[0].counted, Rate::default());
        // And the next second is right.
        let later = snapshot(2, Duration::from_secs(2), 12);
        assert_eq!(later.since(&anew).totals.dropped.packets, 7.0);
    }

    #[test]
    fn while_guard_is_off_nothing_is_in_force() {
        let before = snapshot(1, Duration::ZERO, 10);
        let mut off = snapshot(1, Duration::from_secs(1), 0);
        off.traffic = None;
        off.generation = 0;
        let rates = off.since(&before);
        assert!(!rates.active);
        assert_eq!(rates.totals, Totals::default());
        assert!(!before.since(&off).totals.dropped.packets.is_nan());
        assert_eq!(before.since(&off).totals.dropped.packets, 0.0);
    }

    #[test]
    fn where_the_kernel_measures_nothing_the_share_is_unknown() {
        let before = snapshot(1, Duration::ZERO, 0);
        let mut now = snapshot(1, Duration::from_secs(1), 1000);
        now.run_time = before.run_time;
        assert_eq!(now.since(&before).cpu, None);
        now.run_time = None;
        assert_eq!(now.since(&before).cpu, None);
    }
}
