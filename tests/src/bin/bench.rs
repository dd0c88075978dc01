//! ns per packet by BPF_PROG_TEST_RUN, as ratios to a bare XDP_DROP in the same run.
use aya::{
    EbpfLoader,
    maps::Array,
    programs::{TestRun, TestRunOptions, Xdp},
};
use guard_common::{
    abi::{names, switch::SLOTS},
    packet::TcpFlags,
    testing::packet,
};
use guard_user::{
    dataplane::object::BENCH_OBJECT,
    ruleset::{
        compile::{Host, Stamp, compile},
        model::*,
    },
};

fn rule(action: RuleAction, port: Option<u16>, source: &[&str]) -> Rule {
    Rule {
        action,
        traffic: port.map_or(Traffic::Any, |p| {
            Traffic::Ports(Transport::Tcp, vec![PortRange::single(p)])
        }),
        source: Prefixes {
            prefixes: source.iter().map(|s| s.parse().unwrap()).collect(),
            inline: source.len(),
            sets: vec![],
        },
        destination: Prefixes::default(),
        interface: None,
        comment: None,
        origin: None,
    }
}

#[derive(Clone, Copy, Default)]
struct Gen {
    sources: u32,
    first: u32,
    step: u32,
    ports: u32,
    first_port: u32,
    paired: u32,
}

fn measure(policy: &Policy, gen_: Gen, frame: &[u8], expect: u32) -> Vec<(&'static str, u64)> {
    let image = compile(
        policy,
        &Host {
            interfaces: vec![],
            own: vec!["192.0.2.1".parse().unwrap()],
        },
        Stamp::default(),
    )
    .unwrap();
    let slot = image.words.len() as u32;
    let mut l = EbpfLoader::new();
    let (own, shards, seed) = (1u32, 2u32, 1u64);
    l.override_global(names::SLOT_WORDS, &slot, true)
        .override_global(names::OWN_SHARD, &own, true)
        .override_global(names::SHARDS, &shards, true)
        .override_global(names::SEED, &seed, true)
        .override_global("SOURCES", &gen_.sources, true)
        .override_global("FIRST_SOURCE", &gen_.first, true)
        .override_global("SOURCE_STEP", &gen_.step, true)
        .override_global("PORTS", &gen_.ports, true)
        .override_global("FIRST_PORT", &gen_.first_port, true)
        .override_global("PAIRED", &gen_.paired, true)
        .map_max_entries(names::POLICY, SLOTS * slot)
        .map_max_entries(names::COUNTERS, 2 * guard_common::abi::counters::SHARD_ROWS);
    let mut e = l.load(BENCH_OBJECT).unwrap();
    {
        let mut m: Array<_, u64> = e.map_mut(names::POLICY).unwrap().try_into().unwrap();
        for (i, w) in image.words.iter().enumerate() {
            m.set(i as u32, *w, 0).unwrap();
        }
    }
    let mut out = vec![];
    for name in ["bench_drop", "bench_generate", "bench_guard"] {
        let p: &mut Xdp = e.program_mut(name).unwrap().try_into().unwrap();
        p.load().unwrap();
    }
    for name in ["bench_drop", "bench_generate", "bench_guard"] {
        let p: &mut Xdp = e.program_mut(name).unwrap().try_into().unwrap();
        let mut v = vec![];
        for _ in 0..7 {
            let r = p
                .test_run(TestRunOptions {
                    data_in: Some(frame),
                    repeat: 500_000,
                    ..TestRunOptions::default()
                })
                .unwrap();
            if name == "bench_guard" {
                assert_eq!(r.return_value, expect, "verdict");
            }
            v.push(r.duration.as_nanos() as u64);
        }
        v.sort();
        out.push((name, v[0]));
        out.push(("median", v[3]));
    }
    out
}

fn main() {
    let syn = packet().tcp(9000, TcpFlags::SYN).build();
    let syn22 = packet().tcp(22, TcpFlags::SYN).build();
    for n in [1usize, 100, 10_000] {
        let mut rules = vec![rule(RuleAction::Allow, Some(22), &[])];
        for i in 1..n {
            let a = format!("10.{}.{}.0/24", i >> 8, i & 255);
            let a2 = format!("10.{}.{}.7", i >> 8, i & 255);
            rules.push(match i % 3 {
                0 => rule(RuleAction::Deny, None, &[&a]),
                1 => rule(RuleAction::Allow, Some(10_000 + i as u16), &[&a2]),
                _ => rule(RuleAction::Allow, Some(443), &[&a2]),
            });
        }
        let policy = Policy {
            rules,
            ..Policy::default()
        };
        println!("rules {n}");
        println!(
            "  default drop fixed   {:?}",
            measure(&policy, Gen::default(), &syn, 1)
        );
        println!(
            "  default drop rnd+rnd {:?}",
            measure(
                &policy,
                Gen {
                    sources: u32::MAX,
                    step: 1,
                    ports: 8000,
                    first_port: 40000,
                    ..Gen::default()
                },
                &syn,
                1
            )
        );
        println!(
            "  open fixed           {:?}",
            measure(&policy, Gen::default(), &syn22, 2)
        );
        println!(
            "  open rnd             {:?}",
            measure(
                &policy,
                Gen {
                    sources: 0xd0000000,
                    first: 0x0b000000,
                    step: 1,
                    ..Gen::default()
                },
                &syn22,
                2
            )
        );
        println!(
            "  restricted rnd src   {:?}",
            measure(
                &policy,
                Gen {
                    sources: (n as u32).max(3) - 1,
                    first: 0x0a000107,
                    step: 256,
                    ..Gen::default()
                },
                &packet().tcp(443, TcpFlags::SYN).build(),
                if n == 1 { 1 } else { 2 }
            )
        );
    }
}
