//! The two hash tables of an image: open addressing with a bounded number of places to look at.

use std::collections::{BTreeMap, BTreeSet};

use guard_common::abi::{
    image::{MAX_PROBES, PrefixKey, TableRef, Tree, pair_hash},
    rule::Pair,
};

use super::{TooComplex, prefixes::Forest, tree::LengthTree, trees};

/// Largest table, in entries.
const MAX_ENTRIES: usize = 1 << 22;
/// Seeds to try before a table is doubled.
const SEEDS: u32 = 8;

/// Prefixes (with the markers that lead to them) and pairs, placed.
#[derive(Debug)]
pub(super) struct HashTables {
    trees: Vec<(Tree, LengthTree)>,
    prefixes: Table<Classified>,
    pairs: Table<PairEntry>,
}

#[derive(Clone, Copy, Debug)]
struct Classified {
    key: PrefixKey,
    class: u32,
}

#[derive(Clone, Copy, Debug)]
struct PairEntry {
    key: u64,
    pair: Pair,
}

impl HashTables {
    pub(super) fn new(
        sources: &Forest,
        destinations: &Forest,
        pairs: Vec<(u64, Pair)>,
    ) -> Result<Self, TooComplex> {
        let mut length_trees = Vec::new();
        let mut entries = Vec::new();
        for (tree, forest, family) in trees(sources, destinations) {
            let lengths: BTreeSet<u32> = forest
                .searched(family)
                .map(|(_, prefix)| prefix.len)
                .collect();
            let length_tree = LengthTree::new(&lengths);
            entries.extend(with_markers(tree, &length_tree, forest, family));
            length_trees.push((tree, length_tree));
        }
        let pairs: Vec<_> = pairs
            .into_iter()
            .map(|(key, pair)| PairEntry { key, pair })
            .collect();
        TooComplex::check("prefixes", entries.len() * 2, MAX_ENTRIES)?;
        TooComplex::check(
            "pairs of rule list and source",
            pairs.len() * 2,
            MAX_ENTRIES,
        )?;

        Ok(Self {
            trees: length_trees,
            prefixes: Table::new(&entries, |entry, seed| entry.key.hash(seed.into()))?,
            pairs: Table::new(&pairs, |entry, seed| pair_hash(entry.key, seed.into()))?,
        })
    }

    /// Word and its place in the image, for every node.
    pub(super) fn tree_words(&self) -> impl Iterator<Item = (u32, u64)> {
        self.trees
            .iter()
            .flat_map(|(tree, nodes)| (tree.at()..).zip(nodes.words()))
    }

    pub(super) fn prefix_words(&self) -> impl Iterator<Item = u64> {
        self.prefixes
            .places
            .iter()
            .map(|place| place.map_or(0, |entry| entry.key.entry(entry.class).to_word()))
    }

    /// The prefixes in full, for keys whose entry holds only a part of them.
    pub(super) fn wide_words(&self) -> impl Iterator<Item = u64> {
        let is_needed = self
            .prefixes
            .places
            .iter()
            .flatten()
            .any(|entry| entry.key.is_wide());
        let places = if is_needed {
            self.prefixes.places.as_slice()
        } else {
            &[]
        };
        places.iter().flat_map(|place| match place {
            Some(entry) => [entry.key.prefix.hi(), entry.key.prefix.lo()],
            None => [0, 0],
        })
    }

    pub(super) fn pair_words(&self) -> impl Iterator<Item = u64> {
        self.pairs
            .places
            .iter()
            .map(|entry| entry.map_or(0, |entry| entry.pair.to_word()))
    }

    pub(super) fn prefix_table(&self, first: u32) -> TableRef {
        self.prefixes.at(first)
    }

    pub(super) fn pair_table(&self, first: u32) -> TableRef {
        self.pairs.at(first)
    }
}

/// Every prefix, and for every prefix the markers that lead a search to it. A marker carries the
/// class of the longest prefix that holds it.
fn with_markers(
    tree: Tree,
    lengths: &LengthTree,
    forest: &Forest,
    family: super::prefixes::Family,
) -> Vec<Classified> {
    // In order: the same policy gives the same image, word for word.
    let mut entries = BTreeMap::new();
    let default = forest.default_class(family);
    for (place, prefix) in forest.searched(family) {
        for len in lengths.stations(prefix.len) {
            entries
                .entry((prefix.addr.masked(len), len))
                .or_insert_with(|| {
                    let class = forest.class_within(place, len);
                    let class = if class == 0 { default } else { class };
                    Classified {
                        key: PrefixKey::new(prefix.addr, len, tree),
                        class,
                    }
                });
        }
    }
    entries.into_values().collect()
}

/// At most half full.
fn size_for(entries: usize) -> usize {
    (entries * 2).next_power_of_two().max(MAX_PROBES as usize)
}

/// A placed table.
#[derive(Debug)]
struct Table<E> {
    places: Vec<Option<E>>,
    seed: u32,
}

impl<E: Copy> Table<E> {
    /// Finds a seed under which every entry lies near its hash: nearer seeds first, since every
    /// step costs each packet that takes it, then a larger table.
    fn new(entries: &[E], hash: impl Fn(&E, u32) -> u32) -> Result<Self, TooComplex> {
        let mut size = size_for(entries.len());
        while size <= MAX_ENTRIES {
            for probes in [2, 4, MAX_PROBES] {
                for seed in 0..SEEDS {
                    if let Some(places) = place(entries, size, probes, |entry| hash(entry, seed)) {
                        return Ok(Self { places, seed });
                    }
                }
            }
            size *= 2;
        }
        Err(TooComplex {
            what: "places in a hash table",
            needed: size,
            limit: MAX_ENTRIES,
        })
    }

    fn at(&self, first: u32) -> TableRef {
        TableRef::new(first, self.places.len().ilog2(), self.seed)
    }
}

/// Gives every entry one of the `probes` places from its hash on; `None` when one finds none.
fn place<E: Copy>(
    entries: &[E],
    size: usize,
    probes: u32,
    hash: impl Fn(&E) -> u32,
) -> Option<Vec<Option<E>>> {
    let mut table = vec![None; size];
    for entry in entries {
        let start = hash(entry) as usize;
        let free = (0..probes as usize)
            .map(|probe| (start + probe) & (size - 1))
            .find(|place| table[*place].is_none())?;
        table[free] = Some(*entry);
    }
    Some(table)
}

#[cfg(test)]
mod tests {
    use super::super::{Host, Stamp, compile};
    use crate::ruleset::sample::{allow, policy};

    /// Whoever compares an image with the one in force must not find a difference that is none.
    #[test]
    fn the_same_policy_gives_the_same_image_word_for_word() {
        let rules = (0..300u32).map(|number| {
            let [_, _, high, low] = (number * 211).to_be_bytes();
            let length = 16 + number % 17;
            allow()
                .tcp(1000 + (number % 7) as u16)
                .from(&format!("10.{high}.{low}.0/{length}"))
                .from(&format!("2001:db8:{number:x}::/{}", 32 + number % 90))
        });
        let policy = policy(rules);
        let host = Host {
            interfaces: vec![("eth0".to_owned(), 2)],
            own: vec!["192.0.2.1".parse().expect("an address")],
            ..Host::default()
        };
        let image = || compile(&policy, &host, Stamp::default()).expect("an image");

        let first = image();

        assert!((0..5).all(|_| image().words == first.words));
    }
}
