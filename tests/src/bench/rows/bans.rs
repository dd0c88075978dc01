//! Banned sources and those beside them, to a port that is open to everybody.

use anyhow::{Result, anyhow, bail};
use aya::{
    Ebpf, EbpfLoader,
    maps::{Map, MapData},
};
use guard_common::{
    abi::{
        ban::{BanMap, CHUNK_WORDS, Expiry, MAX_CHUNKS, Sizes},
        names,
    },
    memory::MemBans,
    packet::TcpFlags,
    testing::packet,
};
use guard_user::{
    bans::{prefix::Prefix, table::Writer},
    dataplane::tables::mapping::Mapping,
};

use super::{Before, Case, Draw, FIRST_SOURCE, OPEN_PORT, SOURCE_STEP, STRANGERS, open, policy};
use crate::bench::measure::SEED;

/// A million odd addresses over all of IPv4, 1.0.0.7 to 221.107.29.103: one /24 of fourteen has one.
const MILLION: Draw = Draw {
    sources: 1_000_000,
    first_source: 0x0100_0007,
    source_step: 3698,
    ports: 0,
    first_port: 0,
    is_paired: false,
};
/// The first thousand of them.
const THOUSAND: Draw = Draw {
    sources: 1000,
    ..MILLION
};
/// A hundred thousand /24s over all of IPv4, each with an odd third octet; one address of each.
const NETWORKS: Draw = Draw {
    sources: 100_000,
    first_source: 0x0100_0108,
    source_step: 2 * 72 * 256,
    ports: 0,
    first_port: 0,
    is_paired: false,
};
/// One even address of every /24 with an even third octet from 128.0.0.2 on: none is banned, and one of
/// fourteen has somebody who is beside it.
const NEIGHBOURS: Draw = Draw {
    sources: 3_000_000,
    first_source: 0x8000_0002,
    source_step: 512,
    ports: 0,
    first_port: 0,
    is_paired: false,
};
/// As guard makes them for as many bans as the default capacity has room for; fewer stay in those that it
/// begins with.
const LARGE: Sizes = Sizes {
    chunks: MAX_CHUNKS,
    buckets: 1 << 14,
    addresses: 1 << 18,
};

/// Buckets of addresses for a hundred thousand.
const DRAWN_BUCKETS: u32 = 1 << 15;

/// As many bans as the default configuration holds, and prefixes beside them.
const FULL: Before = Before {
    size: |loader| size::<{ LARGE.addresses }>(loader),
    fill: |_, object| fill(object, LARGE, &MILLION, &NETWORKS),
};
const FEW: Before = Before {
    size: |loader| size::<{ Sizes::SMALLEST.addresses }>(loader),
    fill: |_, object| {
        let none = Draw::default();
        fill(object, Sizes::SMALLEST, &THOUSAND, &none)
    },
};
/// The address that frames of tests come from.
const ONE: Before = Before {
    size: |loader| size::<{ Sizes::SMALLEST.addresses }>(loader),
    fill: |case, object| {
        let none = Draw::default();
        fill(object, Sizes::SMALLEST, &source_of(case)?, &none)
    },
};

/// Everything that the case draws is banned; without a draw, the frame's own source.
pub const DRAWN: Before = Before {
    size: |loader| size::<DRAWN_BUCKETS>(loader),
    fill: |case, object| {
        let drawn = if case.draw.sources == 0 {
            source_of(case)?
        } else {
            case.draw
        };
        let sizes = sizes_for::<DRAWN_BUCKETS>();
        fill(object, sizes, &drawn, &Draw::default())
    },
};

/// The source of the case's frame alone.
fn source_of(case: &Case) -> Result<Draw> {
    Ok(Draw {
        sources: 1,
        first_source: u32::from_be_bytes(case.frame[26..30].try_into()?),
        ..Draw::default()
    })
}

/// A thousand of the sources of rules are banned.
pub const LISTED: Before = Before {
    size: |loader| size::<{ Sizes::SMALLEST.addresses }>(loader),
    fill: |_, object| {
        let listed = Draw {
            sources: 1000,
            first_source: FIRST_SOURCE,
            source_step: SOURCE_STEP,
            ..Draw::default()
        };
        fill(object, Sizes::SMALLEST, &listed, &Draw::default())
    },
};

/// A source of a million that are banned.
#[must_use]
pub fn among_a_million() -> Case {
    row(
        "banned, of 1 M and 100 k prefixes",
        "random banned source",
        MILLION,
        false,
        FULL,
    )
}

/// A source of a thousand that are banned.
#[must_use]
pub fn among_a_thousand() -> Case {
    row(
        "banned, of 1 000",
        "random banned source",
        THOUSAND,
        false,
        FEW,
    )
}

fn row(
    name: &'static str,
    packets: &'static str,
    draw: Draw,
    passes: bool,
    before: Before,
) -> Case {
    Case {
        name,
        packets,
        policy: policy(1, |_| open(OPEN_PORT)),
        frame: packet().tcp(OPEN_PORT, TcpFlags::ACK).build(),
        draw,
        passes,
        before,
    }
}

/// The rows of this file.
#[must_use]
pub fn rows() -> Vec<Case> {
    vec![
        row("banned, one", "fixed", Draw::default(), false, ONE),
        among_a_thousand(),
        among_a_million(),
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

fn size<const ADDRESSES: u32>(loader: &mut EbpfLoader<'_>) {
    let sizes = const { sizes_for::<ADDRESSES>() };
    loader
        .override_global(
            names::BAN_MASK,
            const { &sizes_for::<ADDRESSES>().mask() },
            true,
        )
        .override_global(
            names::BAN_ADDRESS_MASK,
            const { &sizes_for::<ADDRESSES>().address_mask() },
            true,
        )
        .override_global(
            names::BAN_HAS_FINGERPRINTS,
            const { &(sizes_for::<ADDRESSES>().has_fingerprints() as u32) },
            true,
        )
        .map_max_entries(names::BAN_CHUNKS, sizes.chunks * CHUNK_WORDS)
        .map_max_entries(names::BAN_ADDRESSES, sizes.addresses)
        .map_max_entries(names::BAN_FINGERPRINTS, sizes.fingerprints())
        .map_max_entries(names::BAN_SET, sizes.buckets);
}

const fn sizes_for<const ADDRESSES: u32>() -> Sizes {
    if ADDRESSES == LARGE.addresses {
        LARGE
    } else {
        Sizes {
            addresses: ADDRESSES,
            ..Sizes::SMALLEST
        }
    }
}

/// Bans addresses and the /24s of networks for ever.
fn fill(object: &Ebpf, sizes: Sizes, addresses: &Draw, networks: &Draw) -> Result<()> {
    let bans = MemBans::with_room(sizes);
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
        (BanMap::Addresses, names::BAN_ADDRESSES),
        (BanMap::Fingerprints, names::BAN_FINGERPRINTS),
    ] {
        let words = sizes.words(map);
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
