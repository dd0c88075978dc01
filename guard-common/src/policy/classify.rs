//! Address to class: the longest prefix of the policy that holds the address, in constant time.
//!
//! Binary search on prefix lengths (Waldvogel et al., SIGCOMM 1997): a tree over the lengths that
//! occur says which to try next; a hit in the hash table of that length leads to longer ones, a
//! miss to shorter ones. Entries that only mark the way carry the class of the longest prefix
//! around them, so no step is taken back. At most 8 steps, usually 1 to 3, however many prefixes.

use super::rules::Policy;
use crate::{
    abi::{
        addr::Addr,
        image::{
            FILTER_WORDS, FILTERS, MAX_PROBES, PREFIX_WORDS, TREE_LEVELS, Tree, TreeNode,
            filter_bit, prefix_hash,
        },
    },
    policy::Tables,
};

/// Class of a source. Sources that no prefix can hold, which is nearly every source of a flood, are
/// told by one bit.
#[inline(always)]
pub(super) fn source<T: Tables>(policy: &Policy<'_, T>, addr: Addr, default: u32) -> u32 {
    let (tree, filter) = if addr.is_v4() {
        (Tree::SourceV4, FILTERS)
    } else {
        (Tree::SourceV6, FILTERS + FILTER_WORDS)
    };
    let bit = filter_bit(addr) & 0xffff;
    if policy.word(filter + (bit >> 6)) >> (bit & 63) & 1 == 0 {
        return default;
    }
    policy.longest_prefix(addr, tree, default)
}

/// Class of a destination.
#[inline(always)]
pub(super) fn destination<T: Tables>(policy: &Policy<'_, T>, addr: Addr, default: u32) -> u32 {
    let tree = if addr.is_v4() {
        Tree::DestinationV4
    } else {
        Tree::DestinationV6
    };
    policy.longest_prefix(addr, tree, default)
}

/// The class of the longest prefix of `tree` that holds `addr`;
/// `default` when there is none. `base` is the first word of the policy's slot.
#[inline(always)]
pub fn longest_prefix<T: Tables>(
    tables: &T,
    base: u32,
    addr: Addr,
    tree: Tree,
    default: u32,
) -> u32 {
    let policy = &Policy::at(tables, base);
    let table = PrefixTable::of(policy);
    let mut class = default;
    let mut at = ROOT;
    for _ in 0..TREE_LEVELS {
        let node = TreeNode::from_word(policy.word(tree.at() + at));
        if node.is_empty() {
            break;
        }
        let found = table.find(policy, addr.masked(node.len()), node.len() | tree.domain());
        if found == NOT_FOUND {
            at = node.if_missing();
        } else {
            class = found;
            at = node.if_found();
        }
    }
    class
}

/// Where the search begins.
const ROOT: u32 = 1;

/// No entry; class numbers stay far below.
const NOT_FOUND: u32 = u32::MAX;

/// The hash table of prefixes and markers.
struct PrefixTable {
    first: u32,
    mask: u32,
    seed: u64,
}

impl PrefixTable {
    #[inline(always)]
    fn of<T: Tables>(policy: &Policy<'_, T>) -> Self {
        let (first, mask, seed) = policy.prefix_table();
        Self { first, mask, seed }
    }

    #[inline(always)]
    fn find<T: Tables>(&self, policy: &Policy<'_, T>, prefix: Addr, tagged_len: u32) -> u32 {
        let start = prefix_hash(prefix, tagged_len, self.seed);
        for probe in 0..MAX_PROBES {
            let place = start.wrapping_add(probe) & self.mask;
            let at = self.first.wrapping_add(place.wrapping_mul(PREFIX_WORDS));
            let meta = policy.word(at.wrapping_add(2));
            if meta == 0 {
                return NOT_FOUND;
            }
            if meta as u32 & 0x1ff == tagged_len
                && policy.word(at) == prefix.hi()
                && policy.word(at.wrapping_add(1)) == prefix.lo()
            {
                return (meta >> 9) as u32;
            }
        }
        NOT_FOUND
    }
}
