//! Running a row: bare drop, generator and guard in turn, round after round.

use anyhow::{Context as _, Result, anyhow, ensure};
use aya::{
    Ebpf, EbpfLoader,
    maps::{Array, ProgramArray},
    programs::{ProgramFd, SchedClassifier, TestRun as _, TestRunOptions, Xdp},
};
use guard_common::abi::{
    counters::SHARD_ROWS,
    flow, form,
    image::HEADER_FLAGS,
    names,
    switch::{SLOTS, SlotState, SwitchWord},
};
use guard_common::packet::TcpFlags;
use guard_user::{
    dataplane::object::BENCH_OBJECT,
    ruleset::compile::{Host, Stamp, compile},
};

use super::{rows::Case, series::Series, shared_maps::SharedMaps};

/// Seed of every keyed hash in a run.
pub const SEED: u64 = 1;
pub(super) const XDP_DROP: u32 = 1;
pub(super) const XDP_PASS: u32 = 2;
/// What guard is on every host, or without the question whether somebody watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gate {
    /// As it is.
    Built,
    /// Without.
    LeftOut,
}

pub(super) const BARE: &str = "bench_drop";
const GENERATOR: &str = "bench_generate";
pub(super) const GUARD: &str = "bench_guard";
const OTHERS: &str = "bench_others";
const BACK: &str = "bench_back";
const PEER: &str = "bench_peer";
const READ: &str = "bench_read";
const FLOOR: &str = "bench_floor";
const EMPTY: &str = "bench_tc_empty";
const EGRESS: &str = "bench_egress";

/// What a row came to.
#[derive(Clone, Debug)]
pub struct Measurement {
    /// The row.
    pub name: &'static str,
    /// How packets were drawn.
    pub packets: &'static str,
    /// Number of rules.
    pub rules: usize,
    /// Words of the compiled policy.
    pub image_words: usize,
    /// Bare XDP_DROP.
    pub bare: Series,
    /// The generator alone.
    pub generator: Series,
    /// guard behind the generator.
    pub guard: Series,
    /// Programs of others behind the generator.
    pub peers: Vec<Series>,
}

impl Case {
    /// Runs the row.
    ///
    /// # Errors
    /// When the kernel refuses a program, or a packet meets another verdict than the row says.
    pub fn measure(&self, rounds: usize, packets: u32) -> Result<Measurement> {
        self.measure_beside(rounds, packets, &[])
    }

    /// The same with loaded programs of others in the same rounds, behind the same generator.
    ///
    /// # Errors
    /// As [`Case::measure`].
    pub fn measure_beside(
        &self,
        rounds: usize,
        packets: u32,
        peers: &[ProgramFd],
    ) -> Result<Measurement> {
        let host = Host {
            interfaces: Vec::new(),
            own: vec!["192.0.2.1".parse()?],
            ..Host::default()
        };
        let image = compile(&self.policy, &host, Stamp::default())?;
        let mut object = self.load(&image.words, Gate::Built)?;
        let expected = if self.passes { XDP_PASS } else { XDP_DROP };
        let mut measured = Measurement {
            name: self.name,
            packets: self.packets,
            rules: self.rules(),
            image_words: image.words.len(),
            bare: Series::default(),
            generator: Series::default(),
            guard: Series::default(),
            peers: vec![Series::default(); peers.len()],
        };
        if !peers.is_empty() {
            program(&mut object, PEER)?.load()?;
        }
        // The first round warms caches and clocks and does not count.
        for round in 0..=rounds {
            let bare = run(&mut object, BARE, &self.frame, packets, XDP_DROP)?;
            let generator = run(&mut object, GENERATOR, &self.frame, packets, XDP_DROP)?;
            let guard = run(&mut object, GUARD, &self.frame, packets, expected)?;
            if round > 0 {
                measured.bare.push(bare);
                measured.generator.push(generator);
                measured.guard.push(guard);
            }
            for (series, peer) in measured.peers.iter_mut().zip(peers) {
                let map = object.map_mut("peer").context("no place for a peer")?;
                ProgramArray::try_from(map)?.set(0, peer, 0)?;
                let peer = run(&mut object, PEER, &self.frame, packets, expected)?;
                if round > 0 {
                    series.push(peer);
                }
            }
        }
        Ok(measured)
    }

    pub(super) fn load(&self, image: &[u64], gate: Gate) -> Result<Ebpf> {
        let mut object = self.load_object(image, gate, None)?;
        let map = object.map_mut(names::POLICY).context("no policy map")?;
        let mut policy: Array<_, u64> = map.try_into()?;
        for (index, word) in image.iter().enumerate() {
            policy.set(index as u32, *word, 0)?;
        }
        let flags = image[HEADER_FLAGS as usize] as u32;
        let active = SlotState::new(0, flags);
        let map = object.map_mut(names::SWITCH).context("no switch map")?;
        let mut switch: Array<_, u64> = map.try_into()?;
        switch.set(0, SwitchWord::settled(active, active).bits(), 0)?;
        for name in [BARE, GENERATOR] {
            program(&mut object, name)?.load()?;
        }
        load_guard(&mut object)?;
        for name in [EMPTY, EGRESS] {
            classifier(&mut object, name)?.load()?;
        }
        (self.before.fill)(self, &mut object)?;
        Ok(object)
    }

    /// Without its programs; on the maps of another one, if they are named.
    pub(super) fn load_object(
        &self,
        image: &[u64],
        gate: Gate,
        maps: Option<&SharedMaps>,
    ) -> Result<Ebpf> {
        let slot_words = image.len() as u32;
        let (shards, own_shard) = (2u32, 1u32);
        let cpus = aya::util::nr_cpus().map_err(|(path, error)| anyhow!("{path}: {error}"))? as u32;
        let flow_keys = flow::keys(SEED);
        let paired = u32::from(self.draw.is_paired);
        let (jumps, watchable) = (1u32, u32::from(gate == Gate::Built));
        let mut loader = EbpfLoader::new();
        loader
            .override_global(names::SLOT_WORDS, &slot_words, true)
            .override_global(names::SHARDS, &shards, true)
            .override_global(names::OWN_SHARD, &own_shard, true)
            .override_global(names::JUMPS, &jumps, true)
            .override_global(names::WATCHABLE, &watchable, true)
            .override_global(names::SEED, &SEED, true)
            .override_global(names::FLOW_KEYS, &flow_keys, true)
            .override_global("SOURCES", &self.draw.sources, true)
            .override_global("FIRST_SOURCE", &self.draw.first_source, true)
            .override_global("SOURCE_STEP", &self.draw.source_step, true)
            .override_global("PORTS", &self.draw.ports, true)
            .override_global("FIRST_PORT", &self.draw.first_port, true)
            .override_global("PAIRED", &paired, true)
            .map_max_entries(names::POLICY, SLOTS * slot_words)
            .map_max_entries(names::SCRATCH, cpus)
            .map_max_entries(names::SCRATCH_OUT, cpus)
            .map_max_entries(names::COUNTERS, shards * SHARD_ROWS);
        (self.before.size)(&mut loader);
        for (name, path) in maps.into_iter().flat_map(SharedMaps::paths) {
            loader.map_pin_path(name, path);
        }
        Ok(loader.load(BENCH_OBJECT)?)
    }

    /// Runs the way out: an empty tc program and guard's, with a segment of a flow that is known.
    ///
    /// # Errors
    /// As [`Case::measure`].
    pub fn measure_egress(&self, rounds: usize, packets: u32) -> Result<[Series; 2]> {
        let host = Host::default();
        let image = compile(&self.policy, &host, Stamp::default())?;
        let mut object = self.load(&image.words, Gate::Built)?;
        // The flow begins with the same segment as a SYN, behind Ethernet and IPv4.
        const FLAGS_AT: usize = 14 + 20 + 13;
        let mut syn = self.frame.clone();
        syn[FLAGS_AT] = TcpFlags::SYN;
        for frame in [&syn, &self.frame] {
            classifier(&mut object, EGRESS)?.test_run(TestRunOptions {
                data_in: Some(frame),
                ..TestRunOptions::default()
            })?;
        }
        let mut measured = [Series::default(), Series::default()];
        for round in 0..=rounds {
            for (series, name) in measured.iter_mut().zip([EMPTY, EGRESS]) {
                let result = classifier(&mut object, name)?.test_run(TestRunOptions {
                    data_in: Some(&self.frame),
                    repeat: packets,
                    ..TestRunOptions::default()
                })?;
                if round > 0 {
                    series.push(result.duration.as_nanos() as f64);
                }
            }
        }
        Ok(measured)
    }
}

impl Case {
    /// Runs the generator alone and with one read of the table of banned addresses behind it, whose end
    /// the next packet waits for.
    ///
    /// # Errors
    /// As [`Case::measure`].
    pub fn measure_read(&self, rounds: usize, packets: u32) -> Result<[Series; 2]> {
        let image = compile(&self.policy, &Host::default(), Stamp::default())?;
        let mut object = self.load(&image.words, Gate::Built)?;
        program(&mut object, READ)?.load()?;
        let mut measured = [Series::default(), Series::default()];
        for round in 0..=rounds {
            for (series, name) in measured.iter_mut().zip([GENERATOR, READ]) {
                let took = run(&mut object, name, &self.frame, packets, XDP_DROP)?;
                if round > 0 {
                    series.push(took);
                }
            }
        }
        Ok(measured)
    }
}

impl Case {
    /// Runs bare XDP_DROP, the least that drops the banned sources of this row and counts them, and guard.
    ///
    /// # Errors
    /// As [`Case::measure`].
    pub fn measure_floor(&self, rounds: usize, packets: u32) -> Result<[Series; 3]> {
        let image = compile(&self.policy, &Host::default(), Stamp::default())?;
        let mut object = self.load(&image.words, Gate::Built)?;
        program(&mut object, FLOOR)?.load()?;
        let mut measured = [Series::default(), Series::default(), Series::default()];
        for round in 0..=rounds {
            for (series, name) in measured.iter_mut().zip([BARE, FLOOR, GUARD]) {
                let took = run(&mut object, name, &self.frame, packets, XDP_DROP)?;
                if round > 0 {
                    series.push(took);
                }
            }
        }
        Ok(measured)
    }
}

/// Loads guard's programs, or loads them anew, and puts those that frames of other forms go to where they jump to.
pub(super) fn load_guard(object: &mut Ebpf) -> Result<()> {
    for name in [GUARD, BACK, OTHERS] {
        let program = program(object, name)?;
        if program.fd().is_ok() {
            program.unload()?;
        }
        program.load()?;
    }
    for (place, name) in [(form::BACK, BACK), (form::OTHERS, OTHERS)] {
        let fd = program(object, name)?.fd()?.try_clone()?;
        let map = object
            .map_mut(names::FORM_PROGRAMS)
            .context("no programs of other forms")?;
        ProgramArray::try_from(map)?.set(place, &fd, 0)?;
    }
    Ok(())
}

fn classifier<'o>(object: &'o mut Ebpf, name: &str) -> Result<&'o mut SchedClassifier> {
    Ok(object
        .program_mut(name)
        .with_context(|| format!("no program {name}"))?
        .try_into()?)
}

pub(super) fn program<'o>(object: &'o mut Ebpf, name: &str) -> Result<&'o mut Xdp> {
    Ok(object
        .program_mut(name)
        .with_context(|| format!("no program {name}"))?
        .try_into()?)
}

/// ns per packet, as the kernel measured it.
pub(super) fn run(
    object: &mut Ebpf,
    name: &str,
    frame: &[u8],
    packets: u32,
    expected: u32,
) -> Result<f64> {
    let options = TestRunOptions {
        data_in: Some(frame),
        repeat: packets,
        ..TestRunOptions::default()
    };
    let result = program(object, name)?.test_run(options)?;
    ensure!(
        result.return_value == expected,
        "{name} returned {} where {expected} was expected",
        result.return_value
    );
    Ok(result.duration.as_nanos() as f64)
}
