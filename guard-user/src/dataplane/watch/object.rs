//! The objects that report: loaded only while somebody watches.

use std::path::Path;

use aya::{
    Ebpf, EbpfLoader,
    maps::{Map, MapData, PerCpuArray, ProgramArray, RingBuf},
    programs::Xdp,
};
use guard_common::abi::{names, service::Service};

use crate::{
    dataplane::object::{
        attempts,
        load_error::{LoadError, load_failure},
    },
    failure::Failure,
    layout::Layout,
};

static REPORT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/guard-report"));
static TRACE: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/guard-trace"));

/// What a program that reports is told before it is loaded.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The most bytes of a frame, made a multiple of 8.
    pub snap: u32,
    /// Events per CPU and 4 ms before the sample becomes sparser; 0: no bound.
    pub budget: u32,
    /// Two services at most, the only ones that are reported; none: every packet.
    pub services: Vec<Service>,
    /// Bytes of the ring, a power of two of pages.
    pub ring: u32,
}

/// Packets that were due, and those of them that were lost because the ring was full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loss {
    /// Packets that were due.
    pub due: u64,
    /// Of them, those that were lost.
    pub lost: u64,
}

/// A loaded object.
pub(super) struct Reporter {
    ebpf: Ebpf,
    programs: ProgramArray<MapData>,
    place: u32,
}

impl Reporter {
    /// Loads the object whose program writes to a ring, for this place among those who watch.
    ///
    /// # Errors
    /// When the kernel refuses it.
    pub(super) fn load(layout: &Layout, place: u32, settings: &Settings) -> Result<Self, Failure> {
        let maps = layout.maps();
        let snap = settings.snap.next_multiple_of(8);
        let mut loader = loader(&maps);
        let services = successors(&settings.services);
        loader
            .override_global(names::SNAP, &snap, true)
            .override_global(names::WATCHER, &place, true)
            .override_global(names::BUDGET, &settings.budget, true)
            .override_global(names::SERVICES, &services, true)
            .map_max_entries(names::EVENTS, settings.ring);
        let ebpf = loader
            .load(REPORT)
            .map_err(|error| load_failure(error.into()))?;
        Self::put_in_place(ebpf, names::REPORT, &maps, place).map_err(load_failure)
    }

    /// The same for the object whose program logs.
    ///
    /// # Errors
    /// As [`Reporter::load`].
    pub(super) fn load_trace(
        layout: &Layout,
        place: u32,
        settings: &Settings,
    ) -> Result<Self, Failure> {
        let maps = layout.maps();
        let mut loader = loader(&maps);
        let services = successors(&settings.services);
        loader
            .override_global(names::WATCHER, &place, true)
            .override_global(names::BUDGET, &settings.budget, true)
            .override_global(names::SERVICES, &services, true);
        let ebpf = loader
            .load(TRACE)
            .map_err(|error| load_failure(error.into()))?;
        Self::put_in_place(ebpf, names::TRACE, &maps, place).map_err(load_failure)
    }

    fn put_in_place(
        mut ebpf: Ebpf,
        name: &'static str,
        maps: &Path,
        place: u32,
    ) -> Result<Self, LoadError> {
        let program = ebpf.program_mut(name).ok_or(LoadError::Map(name))?;
        let program: &mut Xdp = program.try_into()?;
        attempts::load(|| program.load())?;
        let map = MapData::from_pin(maps.join(names::WATCH_PROGRAMS))
            .map_err(|_| LoadError::Map(names::WATCH_PROGRAMS))?;
        let mut programs = ProgramArray::try_from(Map::ProgramArray(map))
            .map_err(|_| LoadError::Map(names::WATCH_PROGRAMS))?;
        programs
            .set(place, program.fd()?, 0)
            .map_err(|_| LoadError::Map(names::WATCH_PROGRAMS))?;
        Ok(Self {
            ebpf,
            programs,
            place,
        })
    }

    /// The ring, once.
    ///
    /// # Errors
    /// When the object has none.
    pub(super) fn ring(&mut self) -> Result<RingBuf<MapData>, Failure> {
        let missing = || load_failure(LoadError::Map(names::EVENTS));
        let map = self.ebpf.take_map(names::EVENTS).ok_or_else(missing)?;
        RingBuf::try_from(map).map_err(|_| missing())
    }

    /// The object itself, for the reader of its log.
    pub(super) fn ebpf(&mut self) -> &mut Ebpf {
        &mut self.ebpf
    }

    /// How many packets were due, and how many of them were lost.
    #[must_use]
    pub(super) fn loss(&self) -> Loss {
        // As `abi::watch::Tally` has them.
        const DUE: usize = 2;
        const LOST: usize = 3;
        let tallies = self
            .ebpf
            .map(names::TALLY)
            .and_then(|map| PerCpuArray::<_, [u64; 4]>::try_from(map).ok())
            .and_then(|map| map.get(&0, 0).ok());
        let tallies = tallies.iter().flat_map(|tallies| tallies.iter());
        tallies.fold(Loss::default(), |sum, tally| Loss {
            due: sum.due + tally[DUE],
            lost: sum.lost + tally[LOST],
        })
    }
}

impl Drop for Reporter {
    fn drop(&mut self) {
        // It may be gone with the firewall.
        self.programs.clear_index(&self.place).ok();
    }
}

/// Does the kernel take the programs that report, with so many bytes of a frame? They are loaded on maps of their
/// own, and let go.
///
/// # Errors
/// What the kernel says against them.
pub fn try_to_load(snap: u32) -> Result<(), LoadError> {
    let mut loader = EbpfLoader::new();
    loader
        .override_global(names::SNAP, &snap, true)
        .override_global(names::BUDGET, &1u32, true);
    for (mut ebpf, name) in [
        (loader.load(REPORT)?, names::REPORT),
        (EbpfLoader::new().load(TRACE)?, names::TRACE),
    ] {
        let program = ebpf.program_mut(name).ok_or(LoadError::Map(name))?;
        let program: &mut Xdp = program.try_into()?;
        attempts::load(|| program.load())?;
    }
    Ok(())
}

fn loader(maps: &Path) -> EbpfLoader<'static> {
    let mut loader = EbpfLoader::new();
    for (name, pin) in [
        (names::WATCH_PIN, names::WATCH_PIN),
        (names::WATCH_PROGRAMS, names::WATCH_PROGRAMS),
        (names::HANDOVER, names::HANDOVER),
    ] {
        loader.map_pin_path(name, maps.join(pin));
    }
    loader
}

fn successors(services: &[Service]) -> [u32; 2] {
    let mut rows = services.iter().map(|service| service.row() + 1);
    let first = rows.next().unwrap_or_default();
    [first, rows.next().unwrap_or(first)]
}
