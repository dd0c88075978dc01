//! Packets of flows and sessions, both ways.

use std::ops::Range;

use anyhow::{Context as _, Result, ensure};
use aya::{Ebpf, maps::Array};
use guard_common::{
    abi::{
        addr::Addr,
        flow::{
            self, BUCKETS, BucketWords, FlowState, OWN_WAYS, PORT_ROWS, PORTS_PER_ROW, Phase,
            Tuple, WAYS,
        },
        names,
    },
    packet::TcpFlags,
    policy::{self, Scratch},
    testing::{packet, packet_v6},
};

use guard_user::ruleset::{model::Policy, strangers::Strangers};

use super::{Before, Case, Draw, OPEN_PORT, STRANGERS, open, policy as policy_of};
use crate::bench::measure::SEED;

/// A flow of each source that is drawn, or of the frame's own.
const FLOWS: Before = Before {
    size: |_| {},
    fill: begin_flows,
};
/// A session with our open port of each source that is drawn, or of the frame's own.
const SESSIONS: Before = Before {
    size: |_| {},
    fill: begin_sessions,
};
/// The open port has answered, and nobody has a session with it.
const ANSWERED: Before = Before {
    size: |_| {},
    fill: |case, object| mark(case, object, flow::ANSWERS | flow::HAS_SESSIONS),
};
/// The same, and some session has lost its entry.
const LOST: Before = Before {
    size: |_| {},
    fill: |case, object| {
        let marks = flow::ANSWERS | flow::HAS_SESSIONS | flow::LOST_SESSIONS;
        mark(case, object, marks)
    },
};
/// Every TCP port has had sessions, so the socket table is asked about each.
const SESSION_PORTS: Before = Before {
    size: |_| {},
    fill: mark_ports,
};

/// The way out: a segment of a flow that is known, from 192.0.2.1 to the peer. The flow's own packets
/// come the other way.
#[must_use]
pub fn outgoing() -> Case {
    Case {
        name: "outgoing segment of a known flow",
        packets: "fixed",
        policy: policy_of(1, |_| open(OPEN_PORT)),
        frame: packet()
            .from("192.0.2.1")
            .to("198.51.100.7")
            .tcp_between(FLOW_PORT, 443, TcpFlags::ACK)
            .build(),
        draw: Draw::default(),
        passes: true,
        before: Before::NOTHING,
    }
}

/// Sources of flows: 51 200 of them.
const PEERS: Draw = Draw {
    sources: 51_200,
    first_source: 0x1000_0000,
    source_step: 4099,
    ports: 0,
    first_port: 0,
    is_paired: false,
};
/// A port of this host that flows use.
pub const FLOW_PORT: u16 = 45_000;

fn ack_v6(port: u16) -> Vec<u8> {
    packet_v6().tcp_between(443, port, TcpFlags::ACK).build()
}

/// As long as on a wire.
fn ack_tagged(port: u16) -> Vec<u8> {
    let tagged = packet().vlan(0x8100);
    tagged
        .tcp_between(443, port, TcpFlags::ACK)
        .payload(24)
        .build()
}

/// The rows of this file.
#[must_use]
pub fn rows() -> Vec<Case> {
    let policy = policy_of(1, |_| open(OPEN_PORT));
    let ack = |port| packet().tcp_between(443, port, TcpFlags::ACK).build();
    let closed_ports = Draw {
        ports: 8192,
        first_port: 40_000,
        ..STRANGERS
    };
    let fixed = Draw::default();
    let row = |name, packets, frame, draw, passes, before| Case {
        name,
        packets,
        policy: policy.clone(),
        frame,
        draw,
        passes,
        before,
    };
    let strict = |case: Case| Case {
        policy: Policy {
            out_of_state: Strangers::Nothing,
            ..case.policy
        },
        ..case
    };
    vec![
        row(
            "open port, ACK of a session",
            "fixed",
            ack(OPEN_PORT),
            fixed,
            true,
            SESSIONS,
        ),
        row(
            "open port, ACK of a session",
            "fixed, IPv6",
            ack_v6(OPEN_PORT),
            fixed,
            true,
            SESSIONS,
        ),
        row(
            "open port, ACK of a session",
            "fixed, one tag",
            ack_tagged(OPEN_PORT),
            fixed,
            true,
            SESSIONS,
        ),
        row(
            "open port, ACK of a session",
            "random session of 51 200",
            ack(OPEN_PORT),
            PEERS,
            true,
            SESSIONS,
        ),
        strict(row(
            "ACK flood, open port",
            "random source",
            ack(OPEN_PORT),
            STRANGERS,
            false,
            ANSWERED,
        )),
        strict(row(
            "ACK flood, open port, sockets are asked",
            "random source",
            ack(OPEN_PORT),
            STRANGERS,
            false,
            LOST,
        )),
        row(
            "reply of a known flow",
            "fixed",
            ack(FLOW_PORT),
            fixed,
            true,
            FLOWS,
        ),
        row(
            "reply of a known flow",
            "fixed, IPv6",
            ack_v6(FLOW_PORT),
            fixed,
            true,
            FLOWS,
        ),
        row(
            "reply of a known flow",
            "fixed, one tag",
            ack_tagged(FLOW_PORT),
            fixed,
            true,
            FLOWS,
        ),
        row(
            "reply of a known flow",
            "random flow of 51 200",
            ack(FLOW_PORT),
            PEERS,
            true,
            FLOWS,
        ),
        row(
            "ACK flood, closed ports",
            "random source and port",
            ack(FLOW_PORT),
            closed_ports,
            false,
            Before::NOTHING,
        ),
        row(
            "ACK flood, ports with sessions",
            "random source and port",
            ack(FLOW_PORT),
            closed_ports,
            false,
            SESSION_PORTS,
        ),
    ]
}

/// Puts a flow of every source into the table; it must hold them all.
fn begin_flows(case: &Case, object: &mut Ebpf) -> Result<()> {
    begin(case, object, 0..OWN_WAYS)?;
    mark(case, object, flow::HAS_TCP_FLOWS)
}

/// The same of sessions that others began.
fn begin_sessions(case: &Case, object: &mut Ebpf) -> Result<()> {
    begin(case, object, OWN_WAYS..WAYS)?;
    mark(case, object, flow::HAS_TCP_FLOWS | flow::ANSWERS)
}

fn begin(case: &Case, object: &mut Ebpf, places: Range<usize>) -> Result<()> {
    let keys = flow::keys(SEED);
    let map = object.map_mut(names::FLOWS).context("no flow map")?;
    let mut flows: Array<_, BucketWords> = map.try_into()?;
    let own = tuple_of_frame(case)?;
    for n in 0..case.draw.sources.max(1) {
        let remote = match case.draw.sources {
            0 => own.remote,
            _ => {
                let step = n.wrapping_mul(case.draw.source_step);
                Addr::from_v4(case.draw.first_source.wrapping_add(step))
            }
        };
        let tuple = Tuple { remote, ..own };
        let tag = tuple.tag(|index| keys[index]);
        let mut bucket: BucketWords = flows.get(&tag.bucket(BUCKETS - 1), 0)?;
        let way = places
            .clone()
            .find(|way| bucket[*way] == 0)
            .context("a bucket is full; draw other sources")?;
        bucket[way] = tag.bits();
        // The clock of this boot has not come so far: no age.
        let state = FlowState::new(Phase::Open, u32::MAX / 2, tuple.local_port);
        bucket[WAYS + way] = state.to_word();
        flows.set(tag.bucket(BUCKETS - 1), bucket, 0)?;
    }
    Ok(())
}

/// The conversation that the frame of a row is part of.
fn tuple_of_frame(case: &Case) -> Result<Tuple> {
    let scratch = Scratch::default();
    let refused = policy::read(case.frame.as_slice(), &scratch);
    ensure!(refused.is_none(), "{}: {refused:?}", case.name);
    policy::tuple_of(&scratch.packet).with_context(|| format!("{}: no ports", case.name))
}

/// Marks the port of the frame.
fn mark(case: &Case, object: &mut Ebpf, mark: u8) -> Result<()> {
    let (row, place) = flow::port_place(tuple_of_frame(case)?.local_port);
    let map = object.map_mut(names::PORTS).context("no ports map")?;
    let mut ports: Array<_, [u8; PORTS_PER_ROW]> = map.try_into()?;
    let mut marks = [0; PORTS_PER_ROW];
    marks[place] = mark;
    ports.set(row, marks, 0)?;
    Ok(())
}

fn mark_ports(_: &Case, object: &mut Ebpf) -> Result<()> {
    let map = object.map_mut(names::PORTS).context("no ports map")?;
    let mut ports: Array<_, [u8; PORTS_PER_ROW]> = map.try_into()?;
    for row in 0..PORT_ROWS {
        ports.set(row, [flow::HAS_SESSIONS; PORTS_PER_ROW], 0)?;
    }
    Ok(())
}
