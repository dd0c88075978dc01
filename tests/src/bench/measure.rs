//! Running a row: bare drop, generator and guard in turn, round after round.

use anyhow::{Context as _, Result, ensure};
use aya::{
    Ebpf, EbpfLoader,
    maps::Array,
    programs::{SchedClassifier, TestRun as _, TestRunOptions, Xdp},
};
use guard_common::abi::{
    addr::Addr,
    counters::SHARD_ROWS,
    flow::{self, BucketWords, FlowState, PORT_ROWS, PORTS_PER_ROW, Phase, Tuple, WAYS},
    image::HEADER_FLAGS,
    names,
    service::protocol,
    switch::{SLOTS, SlotState, SwitchWord},
};
use guard_common::packet::TcpFlags;
use guard_user::{
    dataplane::object::BENCH_OBJECT,
    ruleset::compile::{Host, Stamp, compile},
};

use super::cases::{Before, Case};

const XDP_DROP: u32 = 1;
const XDP_PASS: u32 = 2;
const BARE: &str = "bench_drop";
const GENERATOR: &str = "bench_generate";
const GUARD: &str = "bench_guard";
const EMPTY: &str = "bench_tc_empty";
const EGRESS: &str = "bench_egress";

/// ns per packet of one program, a value per round.
#[derive(Clone, Debug, Default)]
pub struct Series(Vec<f64>);

impl Series {
    /// The quickest round.
    #[must_use]
    pub fn min(&self) -> f64 {
        self.0.iter().copied().fold(f64::INFINITY, f64::min)
    }

    /// The middle round.
    #[must_use]
    pub fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
    }
}

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
}

impl Case {
    /// Runs the row.
    ///
    /// # Errors
    /// When the kernel refuses a program, or a packet meets another verdict than the row says.
    pub fn measure(&self, rounds: usize, packets: u32) -> Result<Measurement> {
        let host = Host {
            interfaces: Vec::new(),
            own: vec!["192.0.2.1".parse()?],
            ..Host::default()
        };
        let image = compile(&self.policy, &host, Stamp::default())?;
        let mut object = self.load(&image.words)?;
        let expected = if self.passes { XDP_PASS } else { XDP_DROP };
        let mut measured = Measurement {
            name: self.name,
            packets: self.packets,
            rules: self.rules(),
            image_words: image.words.len(),
            bare: Series::default(),
            generator: Series::default(),
            guard: Series::default(),
        };
        // The first round warms caches and clocks and does not count.
        for round in 0..=rounds {
            let bare = run(&mut object, BARE, &self.frame, packets, XDP_DROP)?;
            let generator = run(&mut object, GENERATOR, &self.frame, packets, XDP_DROP)?;
            let guard = run(&mut object, GUARD, &self.frame, packets, expected)?;
            if round > 0 {
                measured.bare.0.push(bare);
                measured.generator.0.push(generator);
                measured.guard.0.push(guard);
            }
        }
        Ok(measured)
    }

    fn load(&self, image: &[u64]) -> Result<Ebpf> {
        let slot_words = image.len() as u32;
        let (shards, own_shard, seed) = (2u32, 1u32, 1u64);
        let flow_keys = flow::keys(seed);
        let paired = u32::from(self.draw.is_paired);
        let mut loader = EbpfLoader::new();
        loader
            .override_global(names::SLOT_WORDS, &slot_words, true)
            .override_global(names::SHARDS, &shards, true)
            .override_global(names::OWN_SHARD, &own_shard, true)
            .override_global(names::SEED, &seed, true)
            .override_global(names::FLOW_KEYS, &flow_keys, true)
            .override_global("SOURCES", &self.draw.sources, true)
            .override_global("FIRST_SOURCE", &self.draw.first_source, true)
            .override_global("SOURCE_STEP", &self.draw.source_step, true)
            .override_global("PORTS", &self.draw.ports, true)
            .override_global("FIRST_PORT", &self.draw.first_port, true)
            .override_global("PAIRED", &paired, true)
            .map_max_entries(names::POLICY, SLOTS * slot_words)
            .map_max_entries(names::COUNTERS, shards * SHARD_ROWS);
        let mut object = loader.load(BENCH_OBJECT)?;
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
        for name in [BARE, GENERATOR, GUARD] {
            program(&mut object, name)?.load()?;
        }
        for name in [EMPTY, EGRESS] {
            classifier(&mut object, name)?.load()?;
        }
        match self.before {
            Before::Nothing => {}
            Before::Flows => self.begin_flows(&mut object, seed)?,
            Before::SessionPorts => {
                let map = object.map_mut(names::PORTS).context("no ports map")?;
                let mut ports: Array<_, [u8; PORTS_PER_ROW]> = map.try_into()?;
                for row in 0..PORT_ROWS {
                    ports.set(row, [flow::HAS_SESSIONS; PORTS_PER_ROW], 0)?;
                }
            }
        }
        Ok(object)
    }

    /// Puts a flow of every source into the table; it must hold them all.
    fn begin_flows(&self, object: &mut Ebpf, seed: u64) -> Result<()> {
        let keys = flow::keys(seed);
        let map = object.map_mut(names::FLOWS).context("no flow map")?;
        let mut flows: Array<_, BucketWords> = map.try_into()?;
        let first = match self.draw.sources {
            0 => u32::from_be_bytes(self.frame[26..30].try_into()?),
            _ => self.draw.first_source,
        };
        for n in 0..self.draw.sources.max(1) {
            let source = first.wrapping_add(n.wrapping_mul(self.draw.source_step));
            let tuple = Tuple {
                remote: Addr::from_v4(source),
                local: Addr::from_v4(u32::from_be_bytes(self.frame[30..34].try_into()?)),
                remote_port: u16::from_be_bytes(self.frame[34..36].try_into()?),
                local_port: u16::from_be_bytes(self.frame[36..38].try_into()?),
                protocol: protocol::TCP,
            };
            let tag = tuple.tag(|index| keys[index]);
            let mut bucket: BucketWords = flows.get(&tag.bucket(), 0)?;
            let way = (0..WAYS)
                .find(|way| bucket[*way] == 0)
                .context("a bucket is full; draw other sources")?;
            bucket[way] = tag.bits();
            // The clock of this boot has not come so far: no age.
            let state = FlowState::new(Phase::Open, u32::MAX / 2, tuple.local_port);
            bucket[WAYS + way] = state.to_word();
            flows.set(tag.bucket(), bucket, 0)?;
        }
        let port = u16::from_be_bytes(self.frame[36..38].try_into()?);
        let (row, place) = flow::port_place(port);
        let map = object.map_mut(names::PORTS).context("no ports map")?;
        let mut ports: Array<_, [u8; PORTS_PER_ROW]> = map.try_into()?;
        let mut marks = [0; PORTS_PER_ROW];
        marks[place] = flow::HAS_TCP_FLOWS;
        ports.set(row, marks, 0)?;
        Ok(())
    }

    /// Runs the way out: an empty tc program and guard's, with a segment of a flow that is known.
    ///
    /// # Errors
    /// As [`Case::measure`].
    pub fn measure_egress(&self, rounds: usize, packets: u32) -> Result<[Series; 2]> {
        let host = Host::default();
        let image = compile(&self.policy, &host, Stamp::default())?;
        let mut object = self.load(&image.words)?;
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
                    series.0.push(result.duration.as_nanos() as f64);
                }
            }
        }
        Ok(measured)
    }
}

fn classifier<'o>(object: &'o mut Ebpf, name: &str) -> Result<&'o mut SchedClassifier> {
    Ok(object
        .program_mut(name)
        .with_context(|| format!("no program {name}"))?
        .try_into()?)
}

fn program<'o>(object: &'o mut Ebpf, name: &str) -> Result<&'o mut Xdp> {
    Ok(object
        .program_mut(name)
        .with_context(|| format!("no program {name}"))?
        .try_into()?)
}

/// ns per packet, as the kernel measured it.
fn run(object: &mut Ebpf, name: &str, frame: &[u8], packets: u32, expected: u32) -> Result<f64> {
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
