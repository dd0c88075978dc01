//! Banned sources and those beside them, to a port that is open to everybody.

use anyhow::{Result, anyhow, bail};
use aya::{
    Ebpf, EbpfLoader,
    maps::{Map, MapData},
};
use guard_common::{
    abi::{
        ban::{BanMap, CHUNK_WORDS, Expiry},
        names,
    },
    memory::MemBans,
    packet::TcpFlags,
    testing::packet,
};
use guard_user::{
    bans::{prefix::Prefix, table::Writer},
    dataplane::mapping::Mapping,
};

use super::{Before, Case, Draw, OPEN_PORT, STRANGERS, open, policy};
use crate::bench::measure::SEED;

/// A million addresses, six /24s apart: 16.0.0.0 to 111.255.250.0. A sixth of the /24s there have a ban.
const MILLION: Draw = Draw {
    sources: 1_000_000,
    first_source: 0x1000_0000,
    source_step: 1536,
    ports: 0,
    first_port: 0,
    is_paired: false,
};
/// The first thousand of them.
const THOUSAND: Draw = Draw {
    sources: 1000,
    ..MILLION
};
/// A hundred thousand /24s, five /24s apart: 128.0.0.0 to 135.161.28.0, one address of each.
const NETWORKS: Draw = Draw {
    sources: 100_000,
    first_source: 0x8000_0007,
    source_step: 5 * 256,
    ports: 0,
    first_port: 0,
    is_paired: false,
};
/// Odd addresses of the range in which only even ones are banned.
const NEIGHBOURS: Draw = Draw {
    sources: 0x3000_0000,
    first_source: 0x1000_0001,
    source_step: 2,
    ports: 0,
    first_port: 0,
    is_paired: false,
};
const CHUNKS: u32 = 1 << 12;
const BUCKETS: u32 = 1 << 19;

/// As many bans as the default configuration holds, and prefixes beside them.
const FULL: Before = Before {
    size,
    fill: |_, object| fill(object, &MILLION, &NETWORKS),
};
const FEW: Before = Before {
    size,
    fill: |_, object| {
        let none = Draw::default();
        fill(object, &THOUSAND, &none)
    },
};
/// The address that frames of tests come from.
const ONE: Before = Before {
    size,
    fill: |case, object| {
        let source = u32::from_be_bytes(case.frame[26..30].try_into()?);
        let one = Draw {
            sources: 1,
            first_source: source,
            ..Draw::default()
        };
        fill(object, &one, &Draw::default())
    },
};

/// The rows of this file.
#[must_use]
pub fn rows() -> Vec<Case> {
    let policy = policy(1, |_| open(OPEN_PORT));
    let row = |name, packets, draw, passes, before| Case {
        name,
        packets,
        policy: policy.clone(),
        frame: packet().tcp(OPEN_PORT, TcpFlags::ACK).build(),
        draw,
        passes,
        before,
    };
    vec![
        row("banned, one", "fixed", Draw::default(), false, ONE),
        row(
            "banned, of 1 000",
            "random banned source",
            THOUSAND,
            false,
            FEW,
        ),
        row(
            "banned, of 1 M and 100 k prefixes",
            "random banned source",
            MILLION,
            false,
            FULL,
        ),
        row(
            "banned by one of 100 k prefixes",
            "random banned prefix",
            NETWORKS,
            false,
            FULL,
        ),
        row(
            "not banned, nobody is",
            "random source",
            STRANGERS,
            true,
            Before::NOTHING,
        ),
        row(
            "not banned, 1 M and 100 k prefixes are",
            "random source beside them",
            NEIGHBOURS,
            true,
            FULL,
        ),
    ]
}

fn size(loader: &mut EbpfLoader<'_>) {
    const MASK: u32 = BUCKETS - 1;
    loader
        .override_global(names::BAN_MASK, &MASK, true)
        .map_max_entries(names::BAN_CHUNKS, CHUNKS * CHUNK_WORDS)
        .map_max_entries(names::BAN_SET, BUCKETS);
}

/// Bans addresses and the /24s of networks for ever.
fn fill(object: &Ebpf, addresses: &Draw, networks: &Draw) -> Result<()> {
    let bans = MemBans::with_room(CHUNKS, BUCKETS);
    let mut writer = Writer::new(&bans, SEED);
    for (draw, length) in [(addresses, 32), (networks, 24)] {
        for n in 0..draw.sources {
            let source = draw
                .first_source
                .wrapping_add(n.wrapping_mul(draw.source_step));
            let prefix = Prefix::v4(source.into(), length);
            writer
                .raise(prefix, Expiry::NEVER, 0)
                .map_err(|full| anyhow!("{prefix}: {full:?}"))?;
        }
    }
    drop(writer);
    for (map, name) in [
        (BanMap::Filter, names::BAN_FILTER),
        (BanMap::Tops, names::BAN_TOPS),
        (BanMap::Chunks, names::BAN_CHUNKS),
        (BanMap::Set, names::BAN_SET),
    ] {
        let words = bans.words(map);
        let mapping = Mapping::new(array(object, name)?.fd(), words)?;
        for at in 0..words {
            mapping.store(at, bans.load(map, at));
        }
    }
    Ok(())
}

fn array<'a>(object: &'a Ebpf, name: &str) -> Result<&'a MapData> {
    match object.map(name) {
        Some(Map::Array(map)) => Ok(map),
        Some(_) | None => bail!("the benchmark's object has no array {name}"),
    }
}
