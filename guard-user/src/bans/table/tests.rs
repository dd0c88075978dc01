//! The writer and the look-up of kernel and model, against a naive list of bans.

use std::collections::BTreeMap;

use guard_common::{
    abi::{
        addr::Addr,
        ban::{ADDRESS_WAYS, FINGERPRINT_WAYS, Fingerprint, WAYS},
        flow,
        image::FIXED_WORDS,
    },
    memory::MemTables,
    policy::{FingerprintAnswer, ask_fingerprints, is_banned},
    testing::random::Random,
};

use super::*;

const SEED: u64 = 42;

/// The tables of the model, and the bans as they were asked for.
struct World {
    tables: MemTables,
    bans: BTreeMap<Prefix, Expiry>,
    grown: usize,
}

impl World {
    fn new(sizes: Sizes) -> Self {
        let mut tables = MemTables::with_policy(vec![0; FIXED_WORDS as usize]).with_seed(SEED);
        tables.bans = MemBans::with_room(sizes);
        Self {
            tables,
            bans: BTreeMap::new(),
            grown: 0,
        }
    }

    fn now(&self) -> u32 {
        guard_common::policy::Tables::eighths(&self.tables)
    }

    fn pass(&mut self, eighths: u32) {
        self.tables.jiffies += u64::from(eighths) << (self.tables.tick_shift - 3);
    }

    fn ban(&mut self, prefix: Prefix, eighths: u32) {
        let now = self.now();
        let end = Expiry::after(now, eighths);
        let held = self.bans.entry(prefix).or_insert(Expiry::NONE);
        *held = held.later(end, now);
        loop {
            match Writer::new(&self.tables.bans, SEED).raise(prefix, end, now) {
                Ok(()) => return,
                Err(full) => self.grow(full),
            }
        }
    }

    fn grow(&mut self, full: Full) {
        self.grown += 1;
        let old = &self.tables.bans;
        let larger = MemBans::with_room(full.doubled(old.sizes()));
        for map in [BanMap::Filter, BanMap::Tops] {
            for at in 0..old.sizes().words(map) {
                larger.store(map, at, old.load(map, at));
            }
        }
        let mut writer = Writer::new(&larger, SEED);
        writer.take_over(&old, self.now()).expect("room");
        self.tables.bans = larger;
    }

    fn unban(&mut self, prefix: Prefix) {
        self.bans.remove(&prefix);
        let now = self.now();
        let bans = &self.bans;
        let around = |asked: Prefix| -> Result<Vec<PrefixBan>, ()> {
            let touching = bans.iter().filter(|(other, end)| {
                (asked.covers(**other) || other.covers(asked)) && end.is_live(now)
            });
            Ok(touching.map(|(prefix, end)| (*prefix, *end)).collect())
        };
        Writer::new(&self.tables.bans, SEED)
            .lower(prefix, now, around)
            .expect("found");
    }

    /// As the daemon, every ten minutes.
    fn sweep(&mut self) {
        let now = self.now();
        let over: Vec<Prefix> = self
            .bans
            .iter()
            .filter(|(_, end)| !end.is_live(now))
            .map(|(prefix, _)| *prefix)
            .collect();
        for prefix in over {
            self.unban(prefix);
        }
        Writer::new(&self.tables.bans, SEED).refill_fingerprints(now);
    }

    fn replace(&mut self) {
        let now = self.now();
        self.bans.retain(|_, end| end.is_live(now));
        let bans: Vec<PrefixBan> = self.bans.iter().map(|(p, end)| (*p, *end)).collect();
        Writer::new(&self.tables.bans, SEED)
            .replace(&bans, now)
            .expect("room");
    }

    fn is_banned(&self, bits: u128) -> bool {
        is_banned(
            &self.tables,
            Addr::from_halves((bits >> 64) as u64, bits as u64),
        )
    }

    /// What the kernel's whole stage says: the filter is asked first.
    fn cuts(&self, bits: u128) -> bool {
        use guard_common::{abi::ban::FilterBits, policy::Tables as _};
        let addr = Addr::from_halves((bits >> 64) as u64, bits as u64);
        let has = |bits: FilterBits| bits.are_in(self.tables.ban_filter(bits.word));
        let may = if addr.is_v4() {
            has(FilterBits::v4_address(addr)) || has(FilterBits::v4_network(addr))
        } else {
            let key = |index| self.tables.flow_key(index);
            has(FilterBits::long_v6(addr, key)) || has(FilterBits::short_v6(addr, key))
        };
        may && self.is_banned(bits)
    }

    fn should_be(&self, bits: u128) -> bool {
        let now = self.now();
        let single = Prefix::new(bits, 128);
        self.bans
            .iter()
            .any(|(prefix, end)| prefix.covers(single) && end.is_live(now))
    }

    /// Around the edges of every ban that is or was, and anywhere.
    fn compare(&self, random: &mut Random, touched: &[Prefix], case: &str) {
        for prefix in touched {
            let inside = prefix.bits()
                | (random_bits(random) & !prefix.bits() & (prefix.last() ^ prefix.bits()));
            for bits in [
                prefix.bits(),
                prefix.last(),
                prefix.bits().wrapping_sub(1),
                prefix.last().wrapping_add(1),
                inside,
            ] {
                assert_eq!(
                    self.cuts(bits),
                    self.should_be(bits),
                    "{case}: {} beside {prefix}",
                    Prefix::new(bits, 128)
                );
            }
        }
    }
}

fn random_bits(random: &mut Random) -> u128 {
    u128::from(random.number()) << 64 | u128::from(random.number())
}

/// Prefixes that lie in each other: few networks, all lengths.
fn random_prefix(random: &mut Random) -> Prefix {
    let host = random_bits(random);
    if random.below(2) == 0 {
        let base = 0xffff_0a00_0000u128 | (host & 0x0003_0303);
        let spread = if random.below(4) == 0 {
            host & 0xff_ffff
        } else {
            0
        };
        let length = 104 + random.below(25) as u8;
        return Prefix::new(base | spread, length);
    }
    let base = 0x2001_0db8u128 << 96;
    let spread = (host & 0x3) << 96 | (host & 0x0303) << 64 | host & 0x3 | (host >> 8 & 3) << 60;
    Prefix::new(base | spread, 20 + random.below(109) as u8)
}

#[test]
fn whoever_is_banned_is_found_and_nobody_else() {
    for seed in 0..6 {
        let mut random = Random::new(seed);
        let mut world = World::new(Sizes {
            chunks: 2,
            buckets: 4,
            addresses: 2,
        });
        let mut touched = Vec::new();
        for step in 0..300 {
            match random.below(10) {
                0..=4 => {
                    let prefix = random_prefix(&mut random);
                    touched.push(prefix);
                    world.ban(prefix, 1 + random.below(200) as u32);
                }
                5 | 6 => {
                    let known: Vec<Prefix> = world.bans.keys().copied().collect();
                    if !known.is_empty() {
                        world.unban(known[random.below(known.len())]);
                    }
                }
                7 | 8 => world.pass(random.below(20) as u32),
                _ => world.replace(),
            }
            if step % 20 == 19 {
                world.compare(&mut random, &touched, &format!("seed {seed}, step {step}"));
            }
        }
        assert!(world.grown > 2, "seed {seed}: the tables never grew");
        let all: Vec<Prefix> = world.bans.keys().copied().collect();
        for prefix in all {
            world.unban(prefix);
        }
        world.compare(&mut random, &touched, "all lifted");
        let set = &world.tables.bans;
        let left = (0..set.sizes().words(BanMap::Set)).filter(|at| set.load(BanMap::Set, *at) != 0);
        assert_eq!(left.count(), 0, "something stayed in the set");
        assert_eq!(address_slots::entries(&set).count(), 0, "an address stayed");
    }
}

/// More addresses than a bucket of the fingerprint filter has places for, all of one bucket.
fn of_one_bucket(random: &mut Random) -> Vec<u32> {
    let keys = flow::keys(SEED);
    let bucket = |address| Fingerprint::of(address, |index| keys[index]).bucket;
    let wanted = bucket(0x0102_0304);
    let any = core::iter::repeat_with(|| random.number() as u32);
    any.filter(|address| bucket(*address) == wanted)
        .take(FINGERPRINT_WAYS + 5)
        .collect()
}

#[test]
fn what_the_fingerprint_filter_says_is_so() {
    const UNIT: usize = 1 << 17;
    let with_fingerprints = Sizes {
        chunks: 2,
        buckets: 4,
        addresses: 1 << 16,
    };
    let (mut banned, mut not_banned, mut open) = (0, 0, 0);
    for seed in 0..4 {
        let mut random = Random::new(seed);
        let addresses = of_one_bucket(&mut random);
        let mut world = World::new(with_fingerprints);
        let any = |random: &mut Random| {
            let address = addresses[random.below(addresses.len())];
            Prefix::new(0xffff_0000_0000 | u128::from(address), 128)
        };
        for step in 0..400 {
            match random.below(12) {
                0..=4 => {
                    let prefix = any(&mut random);
                    world.ban(prefix, 1 + random.below(8 * UNIT) as u32);
                }
                5 | 6 => world.unban(any(&mut random)),
                7 | 8 => world.pass(random.below(UNIT) as u32),
                9 => world.pass(random.below(6 * UNIT) as u32),
                10 => world.sweep(),
                _ if step % 2 == 0 => world.replace(),
                _ => {}
            }
            for address in &addresses {
                let bits = 0xffff_0000_0000 | u128::from(*address);
                let said = ask_fingerprints(&world.tables, Addr::from_v4(*address));
                let should_be = world.should_be(bits);
                let case = format!("seed {seed}, step {step}: {address:x} {said:?}");
                match said {
                    FingerprintAnswer::Banned => assert!(should_be, "{case}"),
                    FingerprintAnswer::NotBanned => assert!(!should_be, "{case}"),
                    FingerprintAnswer::Open => {}
                }
                assert_eq!(world.cuts(bits), should_be, "{case}");
                match (should_be, said) {
                    (_, FingerprintAnswer::Open) => open += 1,
                    (true, _) => banned += 1,
                    (false, _) => not_banned += 1,
                }
            }
        }
    }
    assert!(
        banned > 3000 && not_banned > 3000 && open > 3000,
        "{banned}, {not_banned}, {open}"
    );
}

#[test]
fn most_of_a_list_is_in_the_fingerprint_filter_and_goes_with_it() {
    let mut world = World::new(Sizes {
        chunks: 2,
        buckets: 4,
        addresses: 1 << 15,
    });
    let address = |number: u32| 0x0100_0007u32.wrapping_add(number.wrapping_mul(9001));
    let prefix = |number| Prefix::new(0xffff_0000_0000 | u128::from(address(number)), 128);
    let in_filter = |world: &World, numbers: core::ops::Range<u32>| {
        let sources = numbers.map(|number| Addr::from_v4(address(number)));
        sources
            .filter(|source| ask_fingerprints(&world.tables, *source) == FingerprintAnswer::Banned)
            .count()
    };
    const LIST: u32 = 300_000;
    {
        let mut writer = Writer::new(&world.tables.bans, SEED);
        for number in 0..200_000 {
            writer
                .raise(prefix(number), Expiry::NEVER, 0)
                .expect("room");
        }
    }
    assert_eq!(in_filter(&world, 0..LIST), 0, "a small table has none");

    // The larger table has one, which knows of those that were there before it.
    world.grow(Full::Addresses);
    assert_eq!(in_filter(&world, 0..LIST), 200_000);
    let mut writer = Writer::new(&world.tables.bans, SEED);
    for number in 200_000..LIST {
        writer
            .raise(prefix(number), Expiry::NEVER, 0)
            .expect("room");
    }
    assert!(in_filter(&world, 0..LIST) > 299_000);
    assert_eq!(in_filter(&world, LIST..2 * LIST), 0);

    let mut writer = Writer::new(&world.tables.bans, SEED);
    writer.replace(&[], 0).expect("room");
    assert_eq!(in_filter(&world, 0..LIST), 0);
}

#[test]
fn a_list_of_mixed_ends_is_in_the_fingerprint_filter_after_each_sweep() {
    const LIST: u32 = 600_000;
    const HOUR: u32 = 1 << 15;
    let bans = MemBans::with_room(Sizes {
        chunks: 2,
        buckets: 4,
        addresses: 1 << 17,
    });
    let mut tables = MemTables::with_policy(vec![0; FIXED_WORDS as usize]).with_seed(SEED);
    tables.bans = bans;
    let address = |number: u32| 0x0100_0007u32.wrapping_add(number.wrapping_mul(6001));
    let prefix = |number| Prefix::new(0xffff_0000_0000 | u128::from(address(number)), 128);
    // A third for ever, a third for days, a third for some hours.
    let end = |number: u32| match number % 3 {
        0 => Expiry::NEVER,
        1 => Expiry::after(0, (24 + number % 1000) * HOUR),
        _ => Expiry::after(0, (1 + number % 20) * HOUR),
    };
    let mut writer = Writer::new(&tables.bans, SEED);
    for number in 0..LIST {
        writer.raise(prefix(number), end(number), 0).expect("room");
    }
    for now in [0, 12 * HOUR, 30 * HOUR, 200 * HOUR] {
        let over = |number: &u32| !end(*number).is_live(now);
        let mut writer = Writer::new(&tables.bans, SEED);
        for number in (0..LIST).filter(over) {
            addresses::remove(&mut writer.memory, &writer.keys, address(number));
        }
        writer.refill_fingerprints(now);
        tables.jiffies = u64::from(now) << (tables.tick_shift - 3);
        // What ends within two units is not worth a place.
        let lasts = |number: &u32| end(*number).is_live(now.wrapping_add(1 << 18));
        let (mut all, mut known) = (0u32, 0u32);
        for number in (0..LIST).filter(lasts) {
            let said = ask_fingerprints(&tables, Addr::from_v4(address(number)));
            assert_ne!(said, FingerprintAnswer::NotBanned, "{number}");
            all += 1;
            known += u32::from(said == FingerprintAnswer::Banned);
        }
        let strangers = (0..LIST).filter(|number| {
            let stranger = Addr::from_v4(address(*number) ^ 1);
            let said = ask_fingerprints(&tables, stranger);
            assert_ne!(said, FingerprintAnswer::Banned, "{number}");
            said == FingerprintAnswer::NotBanned
        });
        let strangers = strangers.count() as u32;
        println!("{now}: {known} of {all} banned, {strangers} of {LIST} strangers");
        assert!(known > all / 100 * 99, "{now}: {known} of {all}");
    }
}

#[test]
fn a_set_that_is_nearly_full_moves_entries_and_loses_none() {
    const BUCKETS: u32 = 1 << 10;
    for (case, ways, prefix) in kinds() {
        let mut world = World::new(Sizes {
            chunks: 2,
            buckets: BUCKETS,
            addresses: BUCKETS,
        });
        let mut random = Random::new(7);
        let mut banned = Vec::new();
        while world.grown == 0 {
            let prefix = prefix(random.number());
            world.ban(prefix, 1000);
            banned.push(prefix);
        }
        let places = BUCKETS as usize * ways;
        assert!(
            banned.len() > places * 3 / 4,
            "{case}: full with {} of {places}",
            banned.len(),
        );
        for prefix in banned {
            assert!(world.is_banned(prefix.bits()), "{case}: {prefix}");
        }
    }
}

#[test]
fn whatever_is_being_moved_is_found_at_every_step() {
    // Every store is followed by a look at everything that is banned.
    for (case, ways, prefix) in kinds() {
        let mut tables = MemTables::with_policy(vec![0; FIXED_WORDS as usize]).with_seed(SEED);
        tables.bans = MemBans::with_room(Watched::SIZES);
        let watched = Watched {
            tables,
            banned: Default::default(),
            looks: Default::default(),
        };
        let mut random = Random::new(3);
        let mut writer = Writer::new(&watched, SEED);
        loop {
            let prefix = prefix(random.number());
            if writer.raise(prefix, Expiry::NEVER, 0).is_err() {
                break;
            }
            watched.banned.borrow_mut().push(prefix.addr());
        }
        let (banned, looks) = (watched.banned.borrow().len(), watched.looks.get());
        assert!(
            banned > 64 * ways * 3 / 4 && looks > 2 * banned,
            "{case}: {banned} banned, {looks} looks"
        );
    }
}

type Kind = (&'static str, usize, fn(u64) -> Prefix);

/// What the two hash tables hold: entries of a bucket, and a prefix from a random number.
fn kinds() -> [Kind; 2] {
    [
        ("addresses", ADDRESS_WAYS, |number| {
            Prefix::new(0xffff_0000_0000 | u128::from(number as u32), 128)
        }),
        ("set", WAYS, |number| {
            Prefix::new(0x2001_0db8 << 96 | u128::from(number) << 64, 64)
        }),
    ]
}

/// Tables of 64 buckets that are looked at after every store, as the kernel looks.
struct Watched {
    tables: MemTables,
    banned: std::cell::RefCell<Vec<Addr>>,
    looks: std::cell::Cell<usize>,
}

impl Watched {
    const SIZES: Sizes = Sizes {
        chunks: 2,
        buckets: 64,
        addresses: 64,
    };
}

impl Memory for &Watched {
    fn load(&self, map: BanMap, index: u32) -> u64 {
        self.tables.bans.load(map, index as usize)
    }

    fn store(&mut self, map: BanMap, index: u32, word: u64) {
        self.tables.bans.store(map, index as usize, word);
        self.looks.set(self.looks.get() + 1);
        for source in self.banned.borrow().iter() {
            assert!(
                is_banned(&self.tables, *source),
                "{source:?} cannot be found"
            );
        }
    }

    fn sizes(&self) -> Sizes {
        Watched::SIZES
    }

    fn let_packets_pass(&mut self) {}
}
