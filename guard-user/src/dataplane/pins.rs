//! Maps and links of a running firewall, opened by their pins.

pub(super) mod files;
mod link;

use std::{fs, io, path::Path};

use aya::maps::{MapData, MapInfo, MapType};
use guard_common::abi::{
    ban, ceiling_map,
    counters::{MAX_SHARDS, SHARD_ROWS},
    flow, fragment,
    hit::Hit,
    meter, names,
    switch::{SLOTS, WORDS},
};

use super::{
    object::parameters::{Parameters, Purpose, possible_cpus},
    tables::{
        bans::Shared, ceilings::Ceilings, counters::Counters, exempt::MeterTable, flows::FlowTable,
        hits::RuleHits, mapping::Mapping, slots::PolicySlots,
    },
};
use crate::{
    failure::{Exit, Failure, from_io},
    layout::{Layout, pin_folder},
};

use files::next_name;

pub use link::{LinkPin, links};

/// The shared memory of a running firewall.
#[derive(Debug)]
pub struct Running {
    /// Policies and switch.
    pub slots: PolicySlots,
    /// Counters.
    pub counters: Counters,
    /// Flows.
    pub flows: FlowTable,
    /// Bans.
    pub bans: Shared,
    /// What became of SYNs at ceilings.
    pub ceilings: Ceilings,
    /// Meters.
    pub meters: MeterTable,
}

/// The maps of the running firewall; `None` when nothing is installed.
///
/// # Errors
/// Exit 11 when what is pinned has another shape than this version's.
pub fn open(layout: &Layout) -> Result<Option<Running>, Failure> {
    refuse_other_versions(layout)?;
    let folder = layout.maps();
    if !folder.join(names::POLICY).exists() {
        return Ok(None);
    }
    let policy = Pinned::open(&folder, names::POLICY, 8)?;
    let switch = Pinned::open(&folder, names::SWITCH, 8)?;
    let counters = Pinned::open(&folder, names::COUNTERS, 16)?;
    let fragments = Pinned::open(&folder, names::FRAGMENTS, 8)?;
    let flows = Pinned::open(&folder, names::FLOWS, size_of::<flow::BucketWords>() as u32)?;
    let ports = Pinned::open(&folder, names::PORTS, flow::PORTS_PER_ROW as u32)?;
    let ceilings = Pinned::open(&folder, names::CEILINGS, 8)?;
    let meters = Pinned::open(
        &folder,
        names::METERS,
        size_of::<meter::BucketWords>() as u32,
    )?;
    let shards = counters.entries / SHARD_ROWS;
    let ban_filter = Pinned::open(&folder, names::BAN_FILTER, 8)?;
    let ban_tops = Pinned::open(&folder, names::BAN_TOPS, 8)?;
    let ban_chunks = Pinned::open(&folder, names::BAN_CHUNKS, 8)?;
    let ban_set = Pinned::open(
        &folder,
        names::BAN_SET,
        size_of::<ban::BucketWords>() as u32,
    )?;
    let ban_addresses = Pinned::open(
        &folder,
        names::BAN_ADDRESSES,
        size_of::<ban::AddressWords>() as u32,
    )?;
    let ban_fingerprints = Pinned::open(
        &folder,
        names::BAN_FINGERPRINTS,
        size_of::<ban::FingerprintWords>() as u32,
    )?;
    let is_known = policy.entries.is_multiple_of(SLOTS)
        && switch.entries == WORDS
        && counters.entries.is_multiple_of(SHARD_ROWS)
        && (1..=MAX_SHARDS).contains(&shards)
        && fragments.entries == fragment::CELLS
        && flows.entries.is_power_of_two()
        && (flow::MIN_BUCKETS..=flow::MAX_BUCKETS).contains(&flows.entries)
        && ports.entries == flow::PORT_ROWS
        && ban_filter.entries == ban::FILTER_LEN
        && ban_tops.entries == ban::TOPS
        && ban_chunks.entries.is_multiple_of(ban::CHUNK_WORDS)
        && ban_set.entries.is_power_of_two()
        && ban_addresses.entries.is_power_of_two()
        && (ban_fingerprints.entries == 1 || ban_fingerprints.entries == ban::FINGERPRINT_BUCKETS)
        && ceilings.entries == ceiling_map::WORDS
        && meters.entries == meter::BUCKETS;
    if !is_known {
        return Err(mismatch(
            &folder,
            "a pinned map has a size of another version",
        ));
    }
    let slots = PolicySlots::new(
        policy.mapping(1)?,
        switch.mapping(1)?,
        policy.entries / SLOTS,
    );
    Ok(Some(Running {
        flows: flow_table(&flows, &ports, slots.seed())?,
        meters: MeterTable::new(meters.mapping(meter::WAYS as u32)?, slots.seed()),
        slots,
        counters: Counters::new(counters.mapping(2)?),
        bans: Shared {
            filter: ban_filter.mapping(1)?,
            tops: ban_tops.mapping(1)?,
            chunks: ban_chunks.mapping(1)?,
            set: ban_set.mapping(ban::BUCKET_WORDS as u32)?,
            addresses: ban_addresses.mapping(ban::ADDRESS_WAYS as u32)?,
            fingerprints: ban_fingerprints.mapping(ban::FINGERPRINT_WORDS as u32)?,
        },
        ceilings: Ceilings::new(ceilings.mapping(1)?),
    }))
}

/// The hits of rules; `None` where the program that runs is of a version that counts none.
pub(super) fn rule_hits(layout: &Layout) -> Option<RuleHits> {
    let path = layout.maps().join(names::RULE_HITS);
    if !path.exists() {
        return None;
    }
    let hits = Pinned::at(&path, names::RULE_HITS, 16).ok()?;
    let shards = hits.entries / Hit::CELLS;
    if !hits.entries.is_multiple_of(Hit::CELLS) || !(1..=MAX_SHARDS).contains(&shards) {
        return None;
    }
    hits.mapping(2).ok().map(RuleHits::new)
}

fn flow_table(flows: &Pinned, ports: &Pinned, seed: u64) -> Result<FlowTable, Failure> {
    Ok(FlowTable::new(
        flows.mapping(flow::BUCKET_WORDS as u32)?,
        ports.mapping(flow::PORTS_PER_ROW as u32 / 8)?,
        seed,
    ))
}

/// The flow table that a command made which was killed before it put the table in place: some interfaces may have
/// it already.
///
/// # Errors
/// As [`open`].
pub(super) fn next_flows(layout: &Layout, seed: u64) -> Result<Option<FlowTable>, Failure> {
    let folder = layout.maps();
    let next = folder.join(next_name(names::FLOWS));
    if !next.exists() {
        return Ok(None);
    }
    let flows = Pinned::at(&next, names::FLOWS, size_of::<flow::BucketWords>() as u32)?;
    let ports = Pinned::open(&folder, names::PORTS, flow::PORTS_PER_ROW as u32)?;
    flow_table(&flows, &ports, seed).map(Some)
}

/// What an object that reuses the pinned maps must be told.
///
/// # Errors
/// As [`open`].
pub fn parameters(layout: &Layout, purpose: Purpose) -> Result<Parameters, Failure> {
    let folder = layout.maps();
    let policy = Pinned::open(&folder, names::POLICY, 8)?;
    let counters = Pinned::open(&folder, names::COUNTERS, 16)?;
    let switch = Pinned::open(&folder, names::SWITCH, 8)?;
    let shards = counters.entries / SHARD_ROWS;
    let slot_words = policy.entries / SLOTS;
    let slots = PolicySlots::new(policy.mapping(1)?, switch.mapping(1)?, slot_words);
    let flows = Pinned::open(&folder, names::FLOWS, size_of::<flow::BucketWords>() as u32)?;
    let chunks = Pinned::open(&folder, names::BAN_CHUNKS, 8)?;
    let set = Pinned::open(
        &folder,
        names::BAN_SET,
        size_of::<ban::BucketWords>() as u32,
    )?;
    let addresses = Pinned::open(
        &folder,
        names::BAN_ADDRESSES,
        size_of::<ban::AddressWords>() as u32,
    )?;
    Ok(Parameters {
        bans: ban::Sizes {
            chunks: chunks.entries / ban::CHUNK_WORDS,
            buckets: set.entries,
            addresses: addresses.entries,
        },
        slot_words,
        flow_buckets: flows.entries,
        shards,
        own_shard: possible_cpus() <= shards,
        seed: slots.seed(),
        purpose,
        fixed_clock: false,
    })
}

/// Versions of guard whose pins are there.
///
/// # Errors
/// When the folder may not be read: that is not "there is no guard".
pub fn versions(layout: &Layout) -> Result<Vec<u32>, Failure> {
    let entries = match fs::read_dir(&layout.bpffs) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            return Err(from_io(layout.bpffs.display(), &error));
        }
        Err(_) => return Ok(Vec::new()),
    };
    let mut versions: Vec<u32> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.strip_prefix('v')?.parse().ok())
        .collect();
    versions.sort_unstable();
    Ok(versions)
}

/// Pins of another version hold a program of another version in place.
fn refuse_other_versions(layout: &Layout) -> Result<(), Failure> {
    let others = versions(layout)?
        .into_iter()
        .find(|version| *version != layout.version);
    others.map_or(Ok(()), |version| {
        Err(mismatch(
            &layout.of_version(version).pins(),
            &format!(
                "the filter that runs is of another version of guard (this one pins {})",
                pin_folder(layout.version)
            ),
        ))
    })
}

fn mismatch(path: &Path, what: &str) -> Failure {
    Failure::new(Exit::AbiMismatch, format!("{}: {what}", path.display())).help(
        "it keeps filtering; to switch, run `guardctl disable`, then `guardctl enable`: in between, \
         everything is let in",
    )
}

/// `BPF_F_MMAPABLE` of linux/bpf.h.
const MMAPABLE: u32 = 1 << 10;

/// A pinned array map.
struct Pinned {
    map: MapData,
    name: &'static str,
    entries: u32,
}

impl Pinned {
    fn open(folder: &Path, name: &'static str, value_size: u32) -> Result<Self, Failure> {
        Self::at(&folder.join(name), name, value_size)
    }

    fn at(path: &Path, name: &'static str, value_size: u32) -> Result<Self, Failure> {
        let failed = |error: &dyn std::fmt::Display| {
            let message = format!("{}: cannot open the pinned map: {error}", path.display());
            let exit = if is_root_or_capable() {
                Exit::Failed
            } else {
                Exit::NotPermitted
            };
            Failure::new(exit, message)
        };
        let map = MapData::from_pin(path).map_err(|error| failed(&error))?;
        let info = map.info().map_err(|error| failed(&error))?;
        // What cannot be mapped is reported here, before anything is changed.
        if !is_array(&info)
            || info.map_flags() & MMAPABLE == 0
            || info.key_size() != 4
            || info.value_size() != value_size
        {
            return Err(mismatch(
                path,
                "a pinned map has the shape of another version",
            ));
        }
        Ok(Self {
            map,
            name,
            entries: info.max_entries(),
        })
    }

    fn mapping(&self, words_per_entry: u32) -> Result<Mapping, Failure> {
        Mapping::new(self.map.fd(), (self.entries * words_per_entry) as usize)
            .map_err(|error| from_io(format!("cannot map \"{}\"", self.name), &error))
    }
}

fn is_array(info: &MapInfo) -> bool {
    matches!(info.map_type(), Ok(MapType::Array))
}

fn is_root_or_capable() -> bool {
    nix::unistd::geteuid().is_root()
}
