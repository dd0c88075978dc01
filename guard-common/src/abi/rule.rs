//! Words of the policy image that name rules.

/// Which rule matched and what it does: `(ordinal + 1) << 2 | limited << 1 | allow`; 0 = no rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RuleRef(u32);

/// Bits that a [`RuleRef`] may use inside a [`Pair`].
const RULE_BITS: u32 = 24;
const CLASS_BITS: u32 = 20;

impl RuleRef {
    /// No rule matches.
    pub const NONE: Self = Self(0);
    /// Most rules that a policy may hold: 22 bits of ordinal in a [`Pair`].
    pub const MAX_RULES: u32 = (1 << (RULE_BITS - Self::FLAGS)) - 2;
    const FLAGS: u32 = 2;
    const ALLOW: u32 = 1;
    const LIMITED: u32 = 2;

    /// The rule with this ordinal (its number less one).
    #[must_use]
    pub const fn new(ordinal: u32, allow: bool) -> Self {
        Self((ordinal + 1) << Self::FLAGS | allow as u32)
    }

    /// The same rule, which has a meter for new connections.
    #[must_use]
    pub const fn limited(self) -> Self {
        Self(self.0 | Self::LIMITED)
    }

    /// The same rule for a source that no limit holds for.
    #[inline(always)]
    #[must_use]
    pub const fn unlimited(self) -> Self {
        Self(self.0 & !Self::LIMITED)
    }

    /// Must the meter be asked about a new connection?
    #[inline(always)]
    #[must_use]
    pub const fn is_limited(self) -> bool {
        self.0 & Self::LIMITED != 0
    }

    /// [`RuleRef::ordinal`] of a rule that is one.
    #[inline(always)]
    #[must_use]
    pub const fn index(self) -> u32 {
        self.number().wrapping_sub(1)
    }

    /// Its ordinal + 1; 0 = no rule.
    #[inline(always)]
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0 >> Self::FLAGS
    }

    /// As stored.
    #[inline(always)]
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// As stored.
    #[inline(always)]
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Ordinal of the rule, from 0.
    #[must_use]
    pub const fn ordinal(self) -> Option<u32> {
        if self.0 == 0 {
            None
        } else {
            Some(self.index())
        }
    }

    /// Is there no rule?
    #[inline(always)]
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }

    /// Does the rule let the packet in?
    #[inline(always)]
    #[must_use]
    pub const fn allows(self) -> bool {
        self.0 & Self::ALLOW != 0
    }

    /// The rule that comes first in the policy; a rule comes before none.
    #[inline(always)]
    #[must_use]
    pub const fn first(self, other: Self) -> Self {
        // 0 (none) wraps to the largest number.
        if self.0.wrapping_sub(1) <= other.0.wrapping_sub(1) {
            self
        } else {
            other
        }
    }
}

/// What a service and a scope lead to: the first rule that asks no source, and the number of the
/// source list that stands before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Group {
    /// First rule that matches any source.
    pub fallback: RuleRef,
    /// Source list, 0 = none.
    pub list: u32,
}

impl Group {
    /// From the word of the image.
    #[inline(always)]
    #[must_use]
    pub const fn from_word(word: u64) -> Self {
        Self {
            fallback: RuleRef(word as u32),
            list: (word >> 32) as u32,
        }
    }

    /// To the word of the image.
    #[must_use]
    pub const fn to_word(self) -> u64 {
        (self.list as u64) << 32 | self.fallback.0 as u64
    }
}

/// What a class of sources is, in one scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Class {
    /// First rule that matches this class and asks neither protocol nor port.
    pub any: RuleRef,
    /// The source is on the never list.
    pub never: bool,
    /// The source is an address of this host.
    pub own: bool,
}

impl Class {
    const NEVER: u64 = 1 << 32;
    const OWN: u64 = 1 << 33;

    /// From the word of the image.
    #[inline(always)]
    #[must_use]
    pub const fn from_word(word: u64) -> Self {
        Self {
            any: RuleRef(word as u32),
            never: word & Self::NEVER != 0,
            own: word & Self::OWN != 0,
        }
    }

    /// To the word of the image.
    #[must_use]
    pub const fn to_word(self) -> u64 {
        let never = if self.never { Self::NEVER } else { 0 };
        let own = if self.own { Self::OWN } else { 0 };
        self.any.0 as u64 | never | own
    }
}

/// An entry of the pair table: "in this list, this class meets this rule". One word:
/// list (20 bits), class (20 bits), rule (24 bits); 0 = empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair(u64);

impl Pair {
    /// Most lists and most classes that fit.
    pub const MAX_ID: u32 = (1 << CLASS_BITS) - 1;

    /// The entry for these three; ids within [`Pair::MAX_ID`], class not 0.
    #[must_use]
    pub const fn new(list: u32, class: u32, rule: RuleRef) -> Self {
        Self(Self::key(list, class) << RULE_BITS | rule.0 as u64)
    }

    /// The upper 40 bits, by which an entry is found.
    #[inline(always)]
    #[must_use]
    pub const fn key(list: u32, class: u32) -> u64 {
        (list as u64) << CLASS_BITS | class as u64
    }

    /// As stored.
    #[must_use]
    pub const fn to_word(self) -> u64 {
        self.0
    }

    /// As stored.
    #[inline(always)]
    #[must_use]
    pub const fn from_word(word: u64) -> Self {
        Self(word)
    }

    /// Is this the entry of that key?
    #[inline(always)]
    #[must_use]
    pub const fn has_key(self, key: u64) -> bool {
        self.0 >> RULE_BITS == key
    }

    /// Is the place empty?
    #[inline(always)]
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The rule.
    #[inline(always)]
    #[must_use]
    pub const fn rule(self) -> RuleRef {
        RuleRef(self.0 as u32 & ((1 << RULE_BITS) - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lower_ordinal_comes_first_and_none_comes_last() {
        let (one, two) = (RuleRef::new(0, false), RuleRef::new(1, true));
        assert_eq!(one.first(two), one);
        assert_eq!(two.first(one), one);
        assert_eq!(RuleRef::NONE.first(two), two);
        assert_eq!(two.first(RuleRef::NONE), two);
        assert!(RuleRef::NONE.first(RuleRef::NONE).is_none());
        assert_eq!(two.ordinal(), Some(1));
        assert!(two.allows() && !one.allows());
        let limited = two.limited();
        assert_eq!((limited.ordinal(), limited.index()), (Some(1), 1));
        assert!(limited.allows() && limited.is_limited() && !two.is_limited());
        assert_eq!(limited.unlimited(), two);
        assert_eq!(limited.first(RuleRef::new(2, true)), limited);
    }

    #[test]
    fn words_give_back_what_was_put_in() {
        let rule = RuleRef::new(RuleRef::MAX_RULES - 1, true);
        let pair = Pair::new(Pair::MAX_ID, Pair::MAX_ID, rule);
        assert!(pair.has_key(Pair::key(Pair::MAX_ID, Pair::MAX_ID)));
        assert_eq!(pair.rule(), rule);
        let group = Group {
            fallback: rule,
            list: 7,
        };
        assert_eq!(Group::from_word(group.to_word()), group);
        for (never, own) in [(false, false), (true, false), (false, true), (true, true)] {
            let class = Class {
                any: rule,
                never,
                own,
            };
            assert_eq!(Class::from_word(class.to_word()), class);
        }
    }
}
