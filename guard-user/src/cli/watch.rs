//! What `monitor`, `capture` and `trace` have in common: which packets, and for how long.

use std::{
    io,
    os::fd::AsFd as _,
    time::{Duration, Instant},
};

use clap::Args as Group;
use guard_common::abi::{reason::Reason, service::Service};
use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        signal::{SigSet, Signal},
        signalfd::{SfdFlags, SignalFd},
    },
};

use crate::{
    controller::{Extent, Watch, WatchFilter},
    failure::{Exit, Failure, from_io},
    ruleset::{
        model::{Traffic, Transport},
        names::Names,
        protocol::Protocol,
        traffic,
    },
    text::{address, duration, nearest::nearest, value::BadValue},
};

use super::context::Context;

/// How often there is a look at what was reported.
const LOOK: Duration = Duration::from_millis(20);
/// How often the filter hears that somebody watches; it forgets who is silent for two seconds.
const TEND: Duration = Duration::from_millis(200);
/// How often lines are counted together.
const SECOND: Duration = Duration::from_secs(1);
/// The longest time that may be watched.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);

/// Which packets.
#[derive(Debug, Group)]
pub(super) struct Which {
    /// Only packets to this port: 22, 22/tcp, ssh, 6000:6007/udp; repeat for several
    #[arg(long, value_name = "PORT[/PROTO]", value_parser = services)]
    port: Vec<Services>,
    /// Only packets from this address or network; repeat for several
    #[arg(long, value_name = "PREFIX", value_parser = prefix)]
    from: Vec<ipnetwork::IpNetwork>,
    /// Only packets with this reason, as `guardctl stats` names it; repeat for several
    #[arg(long, value_name = "REASON", value_parser = reason)]
    reason: Vec<Reason>,
    /// End after so many packets
    #[arg(long, short = 'c', value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) count: Option<u64>,
    /// End after this time: 10s, 5m
    #[arg(long = "for", value_name = "DURATION", value_parser = length)]
    pub(super) length: Option<Duration>,
}

/// A value of an option that cannot be what is meant, and why.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
struct BadWord(String);

/// The services that a port stands for.
#[derive(Clone, Debug)]
struct Services(Vec<Service>);

impl Which {
    /// The same for the controller.
    pub(super) fn filter(&self, is_all: bool) -> WatchFilter {
        WatchFilter {
            reasons: self.reason.clone(),
            is_all,
            services: self.port.iter().flat_map(|port| port.0.clone()).collect(),
            sources: self.from.clone(),
        }
    }
}

fn services(text: &str) -> Result<Services, BadWord> {
    let names = Names::system();
    let parse = || -> Result<Traffic, BadValue> {
        let (ports, protocol) = match text.split_once('/') {
            Some((ports, protocol)) => (ports, names.protocols.parse(protocol)?),
            None => (text, Protocol::Any),
        };
        traffic::resolve(&traffic::parse_ports(ports, &names.services)?, protocol)
    };
    let Traffic::Ports(transport, ranges) = parse().map_err(in_a_line)? else {
        return Err(BadWord("no port of tcp or udp".to_owned()));
    };
    let (is_tcp, is_udp) = match transport {
        Transport::Tcp => (true, false),
        Transport::Udp => (false, true),
        Transport::Both => (true, true),
    };
    let ports = || ranges.iter().flat_map(|range| range.first..=range.last);
    let tcp = ports().filter(|_| is_tcp).map(Service::tcp);
    let udp = ports().filter(|_| is_udp).map(Service::udp);
    Ok(Services(tcp.chain(udp).collect()))
}

/// As clap shows it, behind the value.
fn in_a_line(error: BadValue) -> BadWord {
    BadWord(match error.help {
        Some(help) => format!("{}; {help}", error.message),
        None => error.message,
    })
}

fn prefix(text: &str) -> Result<ipnetwork::IpNetwork, BadWord> {
    let (network, _) = address::parse_network(text).map_err(in_a_line)?;
    Ok(network)
}

fn reason(text: &str) -> Result<Reason, BadWord> {
    let found = Reason::ALL.iter().find(|reason| reason.label() == text);
    found.copied().ok_or_else(|| {
        let labels = Reason::ALL.iter().map(|reason| reason.label());
        BadWord(match nearest(text, labels) {
            Some(near) => format!("no such reason; did you mean {near}?"),
            None => "no such reason; `guardctl stats` and docs/reference/reasons.md name them"
                .to_owned(),
        })
    })
}

fn length(text: &str) -> Result<Duration, BadWord> {
    match duration::parse(text) {
        Some(length) if length > Duration::ZERO && length <= LONGEST => Ok(length),
        Some(_) => Err(BadWord("from 1s to a year".to_owned())),
        None => Err(BadWord("no length of time: 10s, 5m, 1h".to_owned())),
    }
}

/// What happens while somebody watches.
pub(super) trait Viewer {
    /// There may be news: looks at it. `false`: that is enough.
    ///
    /// # Errors
    /// What ends it.
    fn look(&mut self, watch: &mut Watch) -> Result<bool, Failure>;
    /// A second is over. `false`: nobody looks any more.
    ///
    /// # Errors
    /// As above.
    fn second(&mut self, watch: &mut Watch) -> Result<bool, Failure>;
    /// guard is off, or on again.
    fn is_active(&mut self, is_active: bool);
}

/// Watches until the viewer has seen enough, the time is over, or the operator ends it (Ctrl-C, TERM, HUP).
pub(super) fn watch(
    context: &Context<'_>,
    filter: WatchFilter,
    extent: Extent,
    length: Option<Duration>,
    viewer: &mut dyn Viewer,
) -> Result<Watch, Failure> {
    let mut watch = context.controller.watch(filter, extent)?;
    let signals = Signals::block().map_err(|error| from_io("cannot wait for signals", &error))?;
    let begin = Instant::now();
    let (mut tended, mut second, mut is_active) = (begin, begin, true);
    while viewer.look(&mut watch)? {
        if length.is_some_and(|length| begin.elapsed() >= length) {
            break;
        }
        if tended.elapsed() >= TEND {
            tended = Instant::now();
            let now = watch.tend()?;
            if now != is_active {
                is_active = now;
                viewer.is_active(now);
            }
        }
        if second.elapsed() >= SECOND {
            second = Instant::now();
            watch.look_around();
            if !viewer.second(&mut watch)? {
                break;
            }
        }
        if signals.wait(LOOK) {
            break;
        }
    }
    // What was on its way.
    watch.stop();
    viewer.look(&mut watch)?;
    watch.look_around();
    viewer.second(&mut watch)?;
    Ok(watch)
}

/// The signals by which an operator ends a command: read where it is convenient, so that the end is an orderly one.
pub(super) struct Signals {
    set: SigSet,
    read: SignalFd,
}

impl Signals {
    pub(super) fn block() -> io::Result<Self> {
        let mut set = SigSet::empty();
        for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
            set.add(signal);
        }
        set.thread_block()?;
        let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
        let read = SignalFd::with_flags(&set, flags)?;
        Ok(Self { set, read })
    }

    /// Waits for a signal, so long at most: has one come?
    pub(super) fn wait(&self, most: Duration) -> bool {
        let mut waiting = [PollFd::new(self.read.as_fd(), PollFlags::POLLIN)];
        let most = PollTimeout::try_from(most).unwrap_or(PollTimeout::ZERO);
        // Interrupted by a signal that is not among them: as if the time were over.
        let has_come = poll(&mut waiting, most).is_ok_and(|ready| ready > 0);
        // Taken, or it would end the process as soon as nothing holds it back.
        has_come && self.read.read_signal().is_ok_and(|signal| signal.is_some())
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        // Whoever interrupts what follows ends it at once.
        self.set.thread_unblock().ok();
    }
}

/// A file of this name cannot be what is meant.
pub(super) fn usage(what: impl Into<String>, help: &str) -> Failure {
    Failure::new(Exit::Usage, what).help(help)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_the_services_that_it_may_be() {
        let of = |text| services(text).map(|services| services.0);
        assert_eq!(of("22"), Ok(vec![Service::tcp(22), Service::udp(22)]));
        assert_eq!(of("22/tcp"), Ok(vec![Service::tcp(22)]));
        assert_eq!(of("ssh"), Ok(vec![Service::tcp(22)]));
        assert_eq!(
            of("6000:6001/udp"),
            Ok(vec![Service::udp(6000), Service::udp(6001)])
        );
        for wrong in ["", "0", "70000", "22/gre", "nosuchservice", "22/"] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_reason_is_named_as_stats_names_it() {
        assert_eq!(reason("default-drop"), Ok(Reason::DefaultDrop));
        let error = reason("default-drob").expect_err("wrong");
        assert!(error.0.contains("did you mean default-drop"), "{error}");
    }

    #[test]
    fn a_length_of_no_time_is_refused() {
        assert_eq!(length("10s"), Ok(Duration::from_secs(10)));
        for wrong in ["0", "-1", "soon", "10y"] {
            assert!(length(wrong).is_err(), "{wrong}");
        }
    }
}
