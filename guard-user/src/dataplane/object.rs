//! Loading the BPF object: constants, sizes and the maps of a running instance.

pub(in crate::dataplane) mod answer;
pub(in crate::dataplane) mod attempts;
pub mod load_error;
mod others;
pub mod parameters;

use std::path::Path;

use aya::{
    Ebpf, EbpfLoader,
    maps::{Map, MapData, ProgramArray},
    programs::{SchedClassifier, Xdp},
};
use guard_common::abi::{
    ban::{BanMap, CHUNK_WORDS},
    ceiling_map,
    counters::SHARD_ROWS,
    flow::{self, BUCKET_WORDS, PORT_ROWS, PORTS_PER_ROW},
    hit::Hit,
    meter, names,
    switch::{self, SLOTS},
};

use self::{
    load_error::{CannotJump, LoadError, load_failure},
    parameters::{Parameters, Purpose, possible_cpus},
};
use super::{
    clock,
    tables::{
        bans::Shared, ceilings::Ceilings, counters::Counters, exempt::MeterTable, flows::FlowTable,
        mapping::Mapping, slots::PolicySlots,
    },
};
use crate::failure::{Exit, Failure};

/// The object that the build embedded.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/guard"));

/// The object of the benchmark: guard's evaluation behind a generator of random packets.
#[cfg(feature = "bench")]
pub static BENCH_OBJECT: &[u8] =
    aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/guard-bench"));

/// The most CPUs that a kernel has (`CONFIG_NR_CPUS` of x86): where their number cannot be read, each has its
/// place all the same.
const MAX_CPUS: u32 = 8192;

/// A loaded instance: program and maps. Dropping it frees what is neither pinned nor attached.
#[derive(Debug)]
pub struct Object {
    ebpf: Ebpf,
    parameters: Parameters,
    answering: Result<(), CannotJump>,
    others: Result<(), CannotJump>,
}

impl Object {
    /// Loads the object with fresh maps, or with the maps pinned in a folder, but for those named
    /// beside it.
    ///
    /// # Errors
    /// [`LoadError`] names the step and the kernel's answer.
    pub fn load(
        parameters: Parameters,
        reuse: Option<(&Path, &[&str])>,
    ) -> Result<Self, LoadError> {
        let mut loader = EbpfLoader::new();
        let own_shard = u32::from(parameters.own_shard);
        let flow_keys = flow::keys(parameters.seed);
        let tick_shift = clock::tick_shift();
        let (explain, ifindex) = match parameters.purpose {
            Purpose::Filter => (0u32, 0u32),
            Purpose::Explain(ifindex) => (1, ifindex),
        };
        let flow_mask = parameters.flow_buckets - 1;
        let bans = parameters.bans;
        let (ban_mask, address_mask) = (bans.mask(), bans.address_mask());
        let has_fingerprints = u32::from(bans.has_fingerprints());
        let fixed_clock = u32::from(parameters.fixed_clock);
        let jiffy_us = clock::jiffy_us();
        let answers = u32::from(parameters.purpose == Purpose::Filter && answer::can_jump());
        let asks_mtu = u32::from(answer::can_ask_mtu());
        // The same jump leads to frames of other forms, and to those who watch.
        let (jumps, watchable) = (answers, answers);
        let scratches = possible_cpus().min(MAX_CPUS);
        loader
            .override_global(names::FIXED_CLOCK, &fixed_clock, true)
            .override_global(names::JIFFY_US, &jiffy_us, true)
            .override_global(names::ANSWERS, &answers, true)
            .override_global(names::ASKS_MTU, &asks_mtu, true)
            .override_global(names::JUMPS, &jumps, true)
            .override_global(names::WATCHABLE, &watchable, true)
            .override_global(names::BAN_MASK, &ban_mask, true)
            .override_global(names::BAN_ADDRESS_MASK, &address_mask, true)
            .override_global(names::BAN_HAS_FINGERPRINTS, &has_fingerprints, true)
            .override_global(names::FLOW_KEYS, &flow_keys, true)
            .override_global(names::FLOW_MASK, &flow_mask, true)
            .override_global(names::TICK_SHIFT, &tick_shift, true)
            .override_global(names::EXPLAIN, &explain, true)
            .override_global(names::EXPLAIN_IFINDEX, &ifindex, true)
            .override_global(names::SLOT_WORDS, &parameters.slot_words, true)
            .override_global(names::SHARDS, &parameters.shards, true)
            .override_global(names::OWN_SHARD, &own_shard, true)
            .override_global(names::SEED, &parameters.seed, true)
            .map_max_entries(names::SCRATCH, scratches)
            .map_max_entries(names::SCRATCH_OUT, scratches)
            .map_max_entries(names::BAN_CHUNKS, bans.chunks * CHUNK_WORDS)
            .map_max_entries(names::BAN_SET, bans.buckets)
            .map_max_entries(names::BAN_ADDRESSES, bans.addresses)
            .map_max_entries(names::BAN_FINGERPRINTS, bans.fingerprints())
            .map_max_entries(names::FLOWS, parameters.flow_buckets)
            .map_max_entries(names::POLICY, SLOTS * parameters.slot_words)
            .map_max_entries(names::COUNTERS, parameters.shards * SHARD_ROWS)
            .map_max_entries(names::RULE_HITS, parameters.shards * Hit::CELLS);
        if let Some((pins, fresh)) = reuse {
            for name in names::MAPS.into_iter().filter(|name| !fresh.contains(name)) {
                loader.map_pin_path(name, pins.join(name));
            }
            if parameters.purpose == Purpose::Filter {
                for (name, pin) in names::BETWEEN_PROGRAMS {
                    loader.map_pin_path(name, pins.join(pin));
                }
            }
        }
        let ebpf = loader.load(OBJECT)?;
        let mut object = Self {
            ebpf,
            parameters,
            answering: Err(CannotJump::NoJumps),
            others: Err(CannotJump::NoJumps),
        };
        let ingress = object.ingress()?;
        attempts::load(|| ingress.load())?;
        if parameters.purpose == Purpose::Filter {
            let egress = object.egress()?;
            attempts::load(|| egress.load())?;
            let clock = object.clock()?;
            attempts::load(|| clock.load())?;
        }
        if jumps != 0 {
            object.others = others::load(&mut object.ebpf).map_err(CannotJump::Refused);
        }
        if answers != 0 {
            object.answering = answer::load(&mut object.ebpf).map_err(CannotJump::Refused);
        }
        Ok(object)
    }

    /// The embedded object, an ELF file.
    #[must_use]
    pub fn bytes() -> &'static [u8] {
        OBJECT
    }

    /// Size of the embedded object in bytes.
    #[must_use]
    pub fn size() -> usize {
        OBJECT.len()
    }

    /// FNV-1a of the embedded object: tells builds apart.
    #[must_use]
    pub fn digest() -> u64 {
        OBJECT.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        })
    }

    /// The constants that it was loaded with.
    #[must_use]
    pub fn parameters(&self) -> Parameters {
        self.parameters
    }

    /// The XDP program.
    ///
    /// # Errors
    /// When the object has none, which the build would have shown.
    pub fn ingress(&mut self) -> Result<&mut Xdp, LoadError> {
        let program = self
            .ebpf
            .program_mut(names::INGRESS)
            .ok_or(LoadError::Map(names::INGRESS))?;
        Ok(program.try_into()?)
    }

    /// Does it answer SYNs with cookies? If not, why.
    ///
    /// # Errors
    /// What the kernel says against it.
    pub fn answering(&self) -> Result<(), &CannotJump> {
        self.answering.as_ref().copied()
    }

    /// The program that answers SYNs with cookies.
    ///
    /// # Errors
    /// As [`Object::ingress`].
    pub fn answer(&mut self) -> Result<&mut Xdp, LoadError> {
        answer::program(&mut self.ebpf)
    }

    /// Pins the arrays of programs, what is handed to them, and who watches, in this folder.
    ///
    /// # Errors
    /// When the kernel refuses it.
    pub(in crate::dataplane) fn pin_programs(&self, folder: &Path) -> Result<(), Failure> {
        for (name, pin) in names::BETWEEN_PROGRAMS {
            let Some(Map::ProgramArray(map) | Map::PerCpuArray(map) | Map::Array(map)) =
                self.ebpf.map(name)
            else {
                continue;
            };
            pin_map(map, &folder.join(pin))?;
        }
        Ok(())
    }

    /// Pins the programs that frames of other forms are handed to: without a pin they are gone when this process is.
    ///
    /// # Errors
    /// When the kernel refuses it.
    pub(in crate::dataplane) fn pin_forms(&self, path: &Path) -> Result<(), Failure> {
        match self.ebpf.map(names::FORM_PROGRAMS) {
            Some(Map::ProgramArray(map)) => pin_map(map, path),
            Some(_) | None => Err(load_failure(LoadError::Map(names::FORM_PROGRAMS))),
        }
    }

    /// The programs that frames of IPv6 go to and fro between, at the places of
    /// [`guard_common::abi::form`].
    ///
    /// # Errors
    /// As [`Object::ingress`].
    pub fn forms(&mut self) -> Result<ProgramArray<&mut MapData>, LoadError> {
        others::places(&mut self.ebpf)
    }

    /// Have frames of IPv6 a program of their own? If not, why.
    ///
    /// # Errors
    /// What the kernel says against it.
    pub fn others(&self) -> Result<(), &CannotJump> {
        self.others.as_ref().copied()
    }

    /// The program of frames of other forms.
    ///
    /// # Errors
    /// As [`Object::ingress`].
    pub fn others_program(&mut self) -> Result<&mut Xdp, LoadError> {
        others::program(&mut self.ebpf, names::OTHERS)
    }

    /// The program that a test run asks for the time in ticks.
    ///
    /// # Errors
    /// As [`Object::ingress`].
    pub fn clock(&mut self) -> Result<&mut SchedClassifier, LoadError> {
        self.classifier(names::CLOCK)
    }

    /// The tc program on the way out.
    ///
    /// # Errors
    /// As [`Object::ingress`].
    pub fn egress(&mut self) -> Result<&mut SchedClassifier, LoadError> {
        self.classifier(names::EGRESS)
    }

    /// The tc program that lets nothing in. Loaded here, since hardly any instance needs it.
    ///
    /// # Errors
    /// As [`Object::ingress`], and what the kernel says against it.
    pub(in crate::dataplane) fn closed(&mut self) -> Result<&mut SchedClassifier, LoadError> {
        let program = self.classifier(names::CLOSED)?;
        if program.fd().is_err() {
            attempts::load(|| program.load())?;
        }
        Ok(program)
    }

    fn classifier(&mut self, name: &'static str) -> Result<&mut SchedClassifier, LoadError> {
        let program = self.ebpf.program_mut(name).ok_or(LoadError::Map(name))?;
        Ok(program.try_into()?)
    }

    /// A map by name.
    ///
    /// # Errors
    /// When the object has no such array map.
    pub fn map(&self, name: &'static str) -> Result<&MapData, LoadError> {
        match self.ebpf.map(name) {
            Some(Map::Array(map)) => Ok(map),
            Some(_) | None => Err(LoadError::Map(name)),
        }
    }

    /// The policy slots and the switch, writable.
    ///
    /// # Errors
    /// When the kernel does not map them.
    pub fn slots(&self) -> Result<PolicySlots, LoadError> {
        let slot_words = self.parameters.slot_words;
        Ok(PolicySlots::new(
            self.mapping(names::POLICY, SLOTS * slot_words)?,
            self.mapping(names::SWITCH, switch::WORDS)?,
            slot_words,
        ))
    }

    /// The counters.
    ///
    /// # Errors
    /// When the kernel does not map them.
    pub fn counters(&self) -> Result<Counters, LoadError> {
        let rows = self.parameters.shards * SHARD_ROWS;
        Ok(Counters::new(self.mapping(names::COUNTERS, rows * 2)?))
    }

    /// Meters and numbers of ports.
    ///
    /// # Errors
    /// When the kernel does not map them.
    pub fn ceilings(&self) -> Result<Ceilings, LoadError> {
        let words = self.mapping(names::CEILINGS, ceiling_map::WORDS)?;
        Ok(Ceilings::new(words))
    }

    /// One of the arrays of bans, writable.
    ///
    /// # Errors
    /// When the kernel does not map it.
    pub fn ban_words(&self, map: BanMap) -> Result<Mapping, LoadError> {
        let name = match map {
            BanMap::Filter => names::BAN_FILTER,
            BanMap::Tops => names::BAN_TOPS,
            BanMap::Chunks => names::BAN_CHUNKS,
            BanMap::Set => names::BAN_SET,
            BanMap::Addresses => names::BAN_ADDRESSES,
            BanMap::Fingerprints => names::BAN_FINGERPRINTS,
        };
        self.mapping(name, self.parameters.bans.words(map) as u32)
    }

    /// All of them.
    ///
    /// # Errors
    /// When the kernel does not map them.
    pub fn bans(&self) -> Result<Shared, LoadError> {
        Ok(Shared {
            filter: self.ban_words(BanMap::Filter)?,
            tops: self.ban_words(BanMap::Tops)?,
            chunks: self.ban_words(BanMap::Chunks)?,
            set: self.ban_words(BanMap::Set)?,
            addresses: self.ban_words(BanMap::Addresses)?,
            fingerprints: self.ban_words(BanMap::Fingerprints)?,
        })
    }

    /// The flow table.
    ///
    /// # Errors
    /// When the kernel does not map it.
    pub fn flows(&self) -> Result<FlowTable, LoadError> {
        Ok(FlowTable::new(
            self.mapping(
                names::FLOWS,
                self.parameters.flow_buckets * BUCKET_WORDS as u32,
            )?,
            self.mapping(names::PORTS, PORT_ROWS * PORTS_PER_ROW as u32 / 8)?,
            self.parameters.seed,
        ))
    }

    /// The table of meters.
    ///
    /// # Errors
    /// When the kernel does not map it.
    pub fn meters(&self) -> Result<MeterTable, LoadError> {
        let words = meter::BUCKETS * meter::WAYS as u32;
        let mapping = self.mapping(names::METERS, words)?;
        Ok(MeterTable::new(mapping, self.parameters.seed))
    }

    fn mapping(&self, name: &'static str, words: u32) -> Result<Mapping, LoadError> {
        Mapping::new(self.map(name)?.fd(), words as usize)
            .map_err(|error| LoadError::Mapping(name, error))
    }
}

fn pin_map(map: &MapData, path: &Path) -> Result<(), Failure> {
    map.pin(path).map_err(|error| {
        let what = format!("{}: cannot pin the map: {error}", path.display());
        Failure::new(Exit::NoBpffs, what)
    })
}
