//! Whom this host has dealt with: marks that only what leaves it can make. Words of the map of ceilings in three
//! parts, each of fixed size: nothing is allocated, so nothing can be exhausted. A mark that gives way to another one
//! costs its peer what a stranger has, and no more.

use super::{
    addr::Addr,
    ceiling_map::{
        CONVERSED_FIRST, PEERS, SENT_TO_FIRST, SHOOK_HANDS_FIRST, TRANSACTIONS, TRANSACTIONS_FIRST,
    },
    flow::Tuple,
};

/// Ticks for which a mark counts: as long as a conversation of datagrams that went both ways.
pub const LIFETIME: u32 = 180;

/// Ticks behind which an answer counts as part of a conversation.
pub const SETTLED: u32 = 2;

/// What is marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// An address that this host has sent a datagram to.
    SentTo(Addr),
    /// An address that this host has sent datagrams to for some seconds.
    Conversed(Addr),
    /// A source prefix (/24 or /48) of which somebody has completed a handshake.
    ShookHands(Addr),
    /// A transaction of DHCP for IPv4 that this host has begun.
    Transaction(u32),
    /// The same of IPv6.
    TransactionV6(u32),
}

/// Where a mark stands, and what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Word of the map of ceilings.
    pub at: u32,
    tag: u32,
}

impl Peer {
    /// The mark of this one. `key` gives the keys of the flow hash.
    #[inline(always)]
    #[must_use]
    pub fn mark(self, key: impl Fn(usize) -> u64) -> Mark {
        let (first, words, addr, id) = match self {
            Self::SentTo(addr) => (SENT_TO_FIRST, PEERS, addr, 0),
            Self::Conversed(addr) => (CONVERSED_FIRST, PEERS, addr, 0),
            Self::ShookHands(addr) => (SHOOK_HANDS_FIRST, PEERS, prefix(addr), 0),
            Self::Transaction(id) => (TRANSACTIONS_FIRST, TRANSACTIONS, Addr::from_v4(id), 1),
            Self::TransactionV6(id) => (TRANSACTIONS_FIRST, TRANSACTIONS, Addr::from_v4(id), 2),
        };
        let tuple = Tuple {
            remote: addr,
            local: if addr.is_v4() {
                Addr::from_v4(0)
            } else {
                Addr::from_halves(0, 0)
            },
            remote_port: 0,
            local_port: id,
            protocol: 0,
        };
        let hash = tuple.tag(key).bits();
        Mark {
            at: first + (hash as u32 & (words - 1)),
            tag: (hash >> 32) as u32,
        }
    }
}

impl Mark {
    /// From the mark of an address that this host has sent to ([`Peer::SentTo`]): the one that says that it has done so
    /// for some seconds ([`Peer::Conversed`]).
    #[inline(always)]
    #[must_use]
    pub const fn of_conversation(self) -> Self {
        Self {
            at: self.at - SENT_TO_FIRST + CONVERSED_FIRST,
            tag: self.tag,
        }
    }

    /// The word that says "at this tick".
    #[inline(always)]
    #[must_use]
    pub const fn word(self, tick: u32) -> u64 {
        (self.tag as u64) << 32 | tick as u64
    }

    /// Does this word say so of the peer, and is that not too long ago?
    #[inline(always)]
    #[must_use]
    pub const fn is_in(self, word: u64, tick: u32) -> bool {
        self.is_within(word, tick, LIFETIME)
    }

    /// Does this word say so, and has it for some seconds? An answer and another one seconds later make a conversation;
    /// what a flood provokes before it is noticed does not.
    #[inline(always)]
    #[must_use]
    pub const fn is_settled(self, word: u64, tick: u32) -> bool {
        let age = tick.wrapping_sub(word as u32);
        self.is_in(word, tick) && age >= SETTLED && age <= LIFETIME
    }

    /// Is the word of this peer, however old?
    #[inline(always)]
    #[must_use]
    pub const fn is_own(self, word: u64) -> bool {
        word != 0 && (word >> 32) as u32 == self.tag
    }

    /// Is it time to write the mark again? A busy peer's is read and not written.
    #[inline(always)]
    #[must_use]
    pub const fn is_due(self, word: u64, tick: u32) -> bool {
        !self.is_within(word, tick, LIFETIME / 8)
    }

    #[inline(always)]
    const fn is_within(self, word: u64, tick: u32, ticks: u32) -> bool {
        let age = tick.wrapping_sub(word as u32);
        // A tick from the future (another CPU was ahead) is no age.
        word != 0 && (word >> 32) as u32 == self.tag && (age <= ticks || age > i32::MAX as u32)
    }
}

/// The /24 or /48 that shares a mark.
#[inline(always)]
const fn prefix(addr: Addr) -> Addr {
    if addr.is_v4() {
        addr.masked(120)
    } else {
        addr.masked(48)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::{ceiling_map::WORDS, flow::keys};

    fn mark(peer: Peer) -> Mark {
        let keys = keys(7);
        peer.mark(|index| keys[index])
    }

    #[test]
    fn a_mark_counts_for_its_own_peer_and_its_lifetime() {
        let [one, other] = [1, 2].map(|last| mark(Peer::SentTo(Addr::from_v4(last))));
        let word = one.word(1000);
        assert!(one.is_in(word, 1000) && one.is_in(word, 1000 + LIFETIME));
        assert!(one.is_in(word, 999), "another CPU was ahead");
        assert!(!one.is_in(word, 1001 + LIFETIME) && !other.is_in(word, 1000));
        assert!(!one.is_in(0, 0));
        assert!(!one.is_due(word, 1000 + LIFETIME / 8) && one.is_due(word, 1001 + LIFETIME / 8));
    }

    #[test]
    fn the_mark_of_a_conversation_follows_from_that_of_an_address_that_was_sent_to() {
        for number in 0..5000 {
            for addr in [
                Addr::from_v4(number),
                Addr::from_halves(0x2001_0db8_0000_0000 | u64::from(number), 7),
            ] {
                let sent_to = mark(Peer::SentTo(addr));
                assert_eq!(sent_to.of_conversation(), mark(Peer::Conversed(addr)));
            }
        }
    }

    #[test]
    fn a_prefix_shares_its_mark_and_parts_do_not_overlap() {
        let v4 = |last: u32| mark(Peer::ShookHands(Addr::from_v4(0xc633_6400 + last)));
        assert_eq!(v4(1), v4(200));
        assert_ne!(v4(1), v4(256));
        let v6 = |low| {
            mark(Peer::ShookHands(Addr::from_halves(
                0x2001_0db8_0001_0000,
                low,
            )))
        };
        assert_eq!(v6(1), v6(2));
        for number in 0..5000 {
            let at = mark(Peer::SentTo(Addr::from_v4(number))).at;
            assert!((SENT_TO_FIRST..SHOOK_HANDS_FIRST).contains(&at));
            let at = mark(Peer::ShookHands(Addr::from_v4(number << 8))).at;
            assert!((SHOOK_HANDS_FIRST..TRANSACTIONS_FIRST).contains(&at));
            let at = mark(Peer::Transaction(number)).at;
            assert!((TRANSACTIONS_FIRST..WORDS).contains(&at));
        }
    }
}
