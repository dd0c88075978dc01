//! Address to class: the longest prefix of the policy that holds the address, in constant time.
//!
//! Binary search on prefix lengths (Waldvogel et al., SIGCOMM 1997): a tree over the lengths that
//! occur says which to try next; a hit in the hash table of that length leads to longer ones, a
//! miss to shorter ones. Entries that only mark the way carry the class of the longest prefix
//! around them, so no step is taken back. At most 8 steps, usually 1 to 3, however many prefixes.

use super::slot::Slot;
use crate::{
    abi::{
        addr::Addr,
        image::{
            FILTER_WORDS, FILTERS, HEADER_PREFIXES, HEADER_WIDE, MAX_PROBES, PrefixEntry,
            PrefixKey, TREE_LEVELS, TableRef, Tree, TreeNode, filter_bit,
        },
    },
    policy::Searches,
};

/// Class of a source. Sources that no prefix can hold, which is nearly every source of a flood, are
/// recognised by one bit.
#[inline(always)]
pub(super) fn source<T: Searches>(policy: &Slot<'_, T>, addr: Addr, default: u32) -> u32 {
    if !may_be_named(policy, addr) {
        return default;
    }
    let tree = if addr.is_v4() {
        Tree::SourceV4
    } else {
        Tree::SourceV6
    };
    policy.longest_prefix(addr, tree, default)
}

/// Can a prefix hold this source?
#[inline(always)]
pub(super) fn may_be_named<T: Searches>(policy: &Slot<'_, T>, addr: Addr) -> bool {
    let filter = if addr.is_v4() {
        FILTERS
    } else {
        FILTERS + FILTER_WORDS
    };
    let bit = filter_bit(addr) & 0xffff;
    policy.word(filter + (bit >> 6)) >> (bit & 63) & 1 != 0
}

/// Class of a destination.
#[inline(always)]
pub(super) fn destination<T: Searches>(policy: &Slot<'_, T>, addr: Addr, default: u32) -> u32 {
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
pub fn longest_prefix<T: Searches>(
    tables: &T,
    base: u32,
    addr: Addr,
    tree: Tree,
    default: u32,
) -> u32 {
    let policy = &Slot::at(tables, base);
    let table = TableRef::from_word(policy.word(HEADER_PREFIXES));
    let mut class = default;
    let mut at = ROOT;
    for _ in 0..TREE_LEVELS {
        let node = TreeNode::from_word(policy.word(tree.at() + at));
        let found = find(policy, table, PrefixKey::new(addr, node.len(), tree));
        if found == NOT_FOUND {
            at = node.if_missing();
        } else {
            class = found;
            at = node.if_found();
        }
        if at == END {
            break;
        }
    }
    class
}

/// Where the search begins. An empty tree has an empty root, whose length no prefix has.
const ROOT: u32 = 1;
/// Where it ends.
const END: u32 = 0;
/// No entry; class numbers stay far below.
const NOT_FOUND: u32 = u32::MAX;

/// Class of exactly this prefix.
#[inline(always)]
fn find<T: Searches>(policy: &Slot<'_, T>, table: TableRef, key: PrefixKey) -> u32 {
    let (start, wanted) = (key.hash(table.seed()), key.entry(0));
    let mut probe = 0;
    while probe < MAX_PROBES {
        let place = start.wrapping_add(probe) & table.mask();
        let entry = PrefixEntry::from_word(policy.word(table.first().wrapping_add(place)));
        if entry.is_empty() {
            return NOT_FOUND;
        }
        if entry.differs_in_class(wanted)
            && (!key.is_wide() || is_wide_entry(policy, place, key.prefix))
        {
            return entry.class();
        }
        // One after another: written out eight times it would need more of the kernel's small stack.
        probe = T::hide(u64::from(probe) + 1) as u32;
    }
    NOT_FOUND
}

/// Does the wide table hold this prefix there?
#[inline(always)]
fn is_wide_entry<T: Searches>(policy: &Slot<'_, T>, place: u32, prefix: Addr) -> bool {
    let at = (policy.word(HEADER_WIDE) as u32).wrapping_add(place.wrapping_mul(2));
    policy.word(at) == prefix.hi() && policy.word(at.wrapping_add(1)) == prefix.lo()
}
