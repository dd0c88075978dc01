//! The order in which prefix lengths are tried: a balanced search tree over the lengths that occur.

use std::collections::BTreeSet;

use guard_common::abi::image::{TREE_NODES, TreeNode};

/// A balanced tree; node 0 is the end, node 1 the root.
#[derive(Debug)]
pub(super) struct LengthTree {
    nodes: Vec<TreeNode>,
}

impl LengthTree {
    pub(super) fn new(lengths: &BTreeSet<u32>) -> Self {
        let lengths: Vec<u32> = lengths.iter().copied().collect();
        let mut tree = Self {
            nodes: vec![TreeNode::from_word(0)],
        };
        tree.grow(&lengths);
        assert!(
            tree.nodes.len() <= TREE_NODES as usize,
            "at most 128 lengths"
        );
        tree
    }

    /// Adds the subtree for `lengths` and returns its root, 0 when there is none.
    fn grow(&mut self, lengths: &[u32]) -> u32 {
        if lengths.is_empty() {
            return 0;
        }
        let middle = lengths.len() / 2;
        let node = self.nodes.len();
        self.nodes.push(TreeNode::from_word(0));
        let if_found = self.grow(&lengths[middle + 1..]);
        let if_missing = self.grow(&lengths[..middle]);
        self.nodes[node] = TreeNode::new(lengths[middle], if_found, if_missing);
        node as u32
    }

    pub(super) fn words(&self) -> impl Iterator<Item = u64> {
        self.nodes.iter().map(|node| node.to_word())
    }

    /// The lengths that a search for a prefix of length `len` meets, up to and including `len`:
    /// those at which it must be led on to longer prefixes.
    pub(super) fn stations(&self, len: u32) -> Vec<u32> {
        let mut stations = Vec::new();
        let mut at = 1;
        while let Some(node) = self.nodes.get(at)
            && !node.is_empty()
        {
            if node.len() <= len {
                stations.push(node.len());
            }
            if node.len() == len {
                break;
            }
            at = if node.len() < len {
                node.if_found()
            } else {
                node.if_missing()
            } as usize;
        }
        stations
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_is_reached_within_eight_steps() {
        let lengths: BTreeSet<u32> = (1..=128).collect();
        let tree = LengthTree::new(&lengths);
        for len in lengths {
            let stations = tree.stations(len);
            assert_eq!(stations.last(), Some(&len));
            assert!(stations.len() <= 8, "{len}: {stations:?}");
        }
    }
}
