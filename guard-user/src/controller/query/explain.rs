//! `explain`: what becomes of a packet.

use std::{
    net::{IpAddr, SocketAddr},
    path::Path,
};

use guard_common::{
    abi::{
        ceiling::Ceiling,
        flow::Tuple,
        image::{HEADER_DATAGRAMS, HEADER_OUT_OF_STATE, MONITOR},
        peers::Peer,
        reason::{Action, Reason},
        rule::RuleRef,
        service::protocol,
    },
    memory::MemTables,
    packet::TcpFlags,
    policy::Arrival,
};

use crate::{
    controller::{
        Applied, Controller, RuleView,
        state::ends,
        transaction::activate::{image, loaded_or_failure},
    },
    dataplane::{
        self, clock,
        pins::{self, Running},
    },
    explain::{Explained, Explanation, Left, Question, Session, Transport, WayIn, answer, build},
    failure::{Exit, Failure},
    host::{Network, sockets::TcpConnections},
    layout::Layout,
    ruleset::{compile::Stamp, source},
};

/// Where a packet without a destination goes when the policy of a file is asked on a host that has no
/// address: documentation addresses.
const SOMEWHERE: [IpAddr; 2] = [
    IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)),
    IpAddr::V6(std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
];

/// What was found, before it is put in words.
struct ModelVerdict {
    left: Option<Left>,
    session: Option<Session>,
    reason: Reason,
    rule: RuleRef,
    is_monitored: bool,
}

impl Controller {
    /// Asks the running firewall, or the policy in a file.
    ///
    /// # Errors
    /// Exit 3 when guard is not active, 4 without root (neither for a file), 5 for a wrong file, 6
    /// for an unknown interface.
    pub fn explain(&self, question: &Question, file: Option<&Path>) -> Result<Explained, Failure> {
        match file {
            Some(file) => {
                let answer = explain_file(&self.layout, question, file)?;
                Ok(Explained::Evaluated(Box::new(answer)))
            }
            None => self.explain_running(question),
        }
    }

    fn explain_running(&self, question: &Question) -> Result<Explained, Failure> {
        let network = self.network()?;
        let names = match Applied::read(self.layout()) {
            Some(applied) => applied.interfaces,
            None => network.default_interfaces(),
        };
        let interface = choose_interface(question, &network, &names)?;
        let index = network
            .interface(&interface)
            .map_or(0, |interface| interface.index);
        let destination = destination(question, &network, index)?;
        let frame = build(question.source, destination, question.transport);
        let index = if pins::open(self.layout())?.is_none() {
            // Which is said by whoever is asked.
            index
        } else if let Some(evaluated_on) = self.evaluated_on(&network, index)? {
            evaluated_on
        } else {
            return Ok(Explained::Unfiltered {
                packet: answer::in_words(question.source, destination, question.transport),
                interface,
            });
        };
        let (reason, rule) = dataplane::explain::ask(self.layout(), index, &frame)?;
        // A change that waits for its confirmation has words of its own.
        let running = pins::open(self.layout())?;
        let applied = running
            .as_ref()
            .and_then(|running| self.words_in_force(running));
        let is_monitored = running.as_ref().is_some_and(|running| {
            let flags = running.slots.in_force().flags();
            flags & MONITOR != 0
        });
        let number = rule.ordinal().map(|ordinal| ordinal as usize + 1);
        let mut view = number
            .and_then(|number| applied.as_ref()?.rules.get(number - 1))
            .cloned();
        self.tell_time_left(view.as_mut_slice());
        let left = match &running {
            Some(running) => self.left(running, rule, question.source.ip()),
            None => None,
        };
        let session = match &running {
            Some(running) => self.session(running, reason, question, destination),
            None => None,
        };
        let found = ModelVerdict {
            left,
            session,
            reason,
            rule,
            is_monitored,
        };
        let answer = found.answer(question, destination, interface, view);
        Ok(Explained::Evaluated(Box::new(answer)))
    }

    /// Is what the rules let in part of a session or a conversation? `None` where nothing asks that.
    fn session(
        &self,
        running: &Running,
        reason: Reason,
        question: &Question,
        destination: SocketAddr,
    ) -> Option<Session> {
        let is_let_in = matches!(reason, Reason::RuleAllow | Reason::DefaultAllow);
        let source = question.source.ip();
        let never = self
            .load()
            .map_or_else(|_| Vec::new(), |loaded| loaded.policy.never);
        if !is_let_in || never.iter().any(|network| network.contains(source)) {
            return None;
        }
        let tick = clock::pinned_ticks(&self.layout().clock()).ok()?;
        match question.transport {
            Transport::Tcp(flags) if !flags.opens() => {
                segment(running, tick, flags, question.source, destination)
            }
            Transport::Udp => datagram(running, tick, source, destination.port()),
            Transport::Tcp(_) | Transport::Icmp(_) | Transport::Other(_) => None,
        }
    }

    /// What the limit of a rule leaves to a source now; `None` if the rule has none for it, or the clock
    /// cannot be read.
    fn left(&self, running: &Running, rule: RuleRef, source: IpAddr) -> Option<Left> {
        if !rule.is_limited() {
            return None;
        }
        let now = clock::pinned_now(&self.layout().clock()).ok()?;
        let source = source.into();
        Some(running.meters.left(&running.slots, rule, source, now))
    }
}

/// Is a segment part of a session?
fn segment(
    running: &Running,
    tick: u32,
    flags: TcpFlags,
    source: SocketAddr,
    destination: SocketAddr,
) -> Option<Session> {
    let passing = passing(running, HEADER_OUT_OF_STATE)?;
    let tuple = Tuple::between(source, destination, protocol::TCP);
    let is_known = || {
        running.flows.knows(&tuple, tick)
            || TcpConnections::read()
                .established
                .contains(&(destination, source))
    };
    Some(if is_known() {
        Session::Known
    } else if flags.ends_or_opens() {
        Session::Unknown { passing: 0.0 }
    } else {
        Session::Unknown { passing }
    })
}

/// Is a datagram part of a conversation? `None` at a port that was not seen to answer.
fn datagram(running: &Running, tick: u32, source: IpAddr, port: u16) -> Option<Session> {
    let passing = passing(running, HEADER_DATAGRAMS)?;
    let conversed = running.flows.peer(Peer::Conversed(source.into()));
    if !running.ceilings.has_answered(port) {
        None
    } else if running.ceilings.is_marked(conversed, tick) {
        let unanswered = ceiling(running, HEADER_DATAGRAMS).of_answered(|number| number);
        Some(Session::Conversation {
            passing: 1e6 / unanswered.interval as f64,
        })
    } else {
        Some(Session::Stranger { passing })
    }
}

/// What the ceiling in this word of the policy in force lets in per second; `None` without one.
fn passing(running: &Running, word: u32) -> Option<f64> {
    ceiling(running, word).admitted_per_second()
}

/// The ceiling in this word of the policy in force.
fn ceiling(running: &Running, word: u32) -> Ceiling {
    let slots = &running.slots;
    Ceiling::from_word(slots.word(slots.in_force(), word))
}

fn explain_file(layout: &Layout, question: &Question, file: &Path) -> Result<Explanation, Failure> {
    let loaded = loaded_or_failure(source::check(file))?;
    let network = Network::read().unwrap_or_default();
    let moments = ends::moments(layout);
    let image = image(&loaded.policy, &network, Stamp::default(), &moments)?;
    let names = if loaded.policy.interfaces.is_empty() {
        network.default_interfaces()
    } else {
        loaded.policy.interfaces.clone()
    };
    let interface = question
        .interface
        .clone()
        .or_else(|| names.first().cloned())
        .unwrap_or_default();
    let index = network
        .interface(&interface)
        .map_or(0, |interface| interface.index);
    let destination = destination(question, &network, index).unwrap_or_else(|_| {
        let family = usize::from(question.source.is_ipv6());
        SocketAddr::new(SOMEWHERE[family], question.port)
    });
    let frame = build(question.source, destination, question.transport);
    let mut tables = MemTables::with_policy(image.words);
    tables.now_ns = moments.boot_ns;
    let is_monitored = tables.switch.active().flags() & MONITOR != 0;
    let verdict =
        guard_common::evaluate(frame.as_slice(), &tables, Arrival { ifindex: index }).verdict;
    let view = verdict.rule.ordinal().and_then(|ordinal| {
        let rule = loaded.policy.rules.get(ordinal as usize)?;
        let mut view = RuleView::new(ordinal as usize + 1, rule);
        view.tell_time_left(&moments);
        Some(view)
    });
    let found = ModelVerdict {
        left: None,
        session: None,
        reason: verdict.reason,
        rule: verdict.rule,
        is_monitored,
    };
    Ok(found.answer(question, destination, interface, view))
}

impl ModelVerdict {
    fn answer(
        self,
        question: &Question,
        destination: SocketAddr,
        interface: String,
        view: Option<RuleView>,
    ) -> Explanation {
        let rule = self.rule.ordinal().map(|ordinal| ordinal as usize + 1);
        Explanation {
            packet: answer::in_words(question.source, destination, question.transport),
            interface,
            reason: self.reason,
            action: if self.is_monitored {
                Action::Pass
            } else {
                self.reason.action()
            },
            rule,
            rule_end: view.as_ref().and_then(RuleView::end),
            rule_words: view.as_ref().map(|view| view.rule.clone()),
            on_excess: view.as_ref().and_then(|view| view.on_excess.clone()),
            rule_name: view.and_then(|view| view.name),
            left: self.left,
            session: self.session,
            way_in: WayIn::of(
                self.reason,
                rule,
                question.source,
                destination,
                question.transport,
            ),
        }
    }
}

fn choose_interface(
    question: &Question,
    network: &Network,
    protected: &[String],
) -> Result<String, Failure> {
    let name = match &question.interface {
        Some(name) => name,
        None => protected.first().ok_or_else(|| {
            Failure::new(Exit::NotFound, "no interface is protected")
                .help("name the one that the packet arrives on: `… on eth0`")
        })?,
    };
    if network.interface(name).is_none() {
        return Err(
            Failure::new(Exit::NotFound, format!("{name}: no such interface"))
                .help("`ip link` lists the interfaces of this machine"),
        );
    }
    Ok(name.clone())
}

/// The destination that was named, else an address of the interface, else one of this host.
fn destination(
    question: &Question,
    network: &Network,
    ifindex: u32,
) -> Result<SocketAddr, Failure> {
    if let Some(ip) = question.destination {
        return Ok(SocketAddr::new(ip, question.port));
    }
    let of_family = || {
        let is_v4 = question.source.is_ipv4();
        network
            .addresses
            .iter()
            .filter(move |(ip, _)| ip.is_ipv4() == is_v4)
    };
    // A global address before a link-local one, which comes later in the kernel's list of IPv6.
    of_family()
        .find(|(_, index)| *index == ifindex)
        .or_else(|| of_family().next())
        .map(|(ip, _)| SocketAddr::new(*ip, question.port))
        .ok_or_else(|| {
            Failure::new(Exit::NotFound, "this host has no address of that family")
                .help("name the destination: `… to ADDRESS port PORT`")
        })
}
