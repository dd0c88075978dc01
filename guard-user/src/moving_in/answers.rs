//! What another firewall does with a packet: its chains, gone through rule by rule. Where a rule asks for something
//! that is not understood, every answer that is possible.

use super::{
    chains::{ChainRule, Firewall, Target},
    packet::Probe,
};

/// What may become of a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    /// It may be let in.
    pub accept: bool,
    /// It may be dropped.
    pub drop: bool,
    /// The chain may say nothing.
    silent: bool,
}

/// Deepest jump from chain to chain; netfilter has 16 and more by kernel, and refuses loops.
const MAX_DEPTH: usize = 64;

impl Answers {
    const ACCEPT: Self = Self {
        accept: true,
        drop: false,
        silent: false,
    };
    const DROP: Self = Self {
        accept: false,
        drop: true,
        silent: false,
    };
    const SILENT: Self = Self {
        accept: false,
        drop: false,
        silent: true,
    };
    const ANY: Self = Self {
        accept: true,
        drop: true,
        silent: true,
    };

    /// Is it let in, whatever was not understood?
    #[must_use]
    pub fn surely_accepted(self) -> bool {
        self.accept && !self.drop
    }

    fn or(self, other: Self) -> Self {
        Self {
            accept: self.accept || other.accept,
            drop: self.drop || other.drop,
            silent: self.silent || other.silent,
        }
    }
}

/// What becomes of the packet.
#[must_use]
pub fn answers(firewall: &Firewall, packet: &Probe) -> Answers {
    let mut found = Answers::default();
    for stage in &firewall.stages {
        if !stage.when.holds(packet) {
            continue;
        }
        let mut said = of_chain(firewall, firewall.rules(&stage.chain), packet, 0);
        if said.silent {
            said.accept |= stage.accepts;
            said.drop |= !stage.accepts;
        }
        found.drop |= said.drop;
        if !said.accept {
            return found;
        }
    }
    found.accept = true;
    found
}

fn of_chain(firewall: &Firewall, rules: &[ChainRule], packet: &Probe, depth: usize) -> Answers {
    let mut found = Answers::default();
    if depth > MAX_DEPTH {
        return Answers::ANY;
    }
    for rule in rules {
        let holds = rule.when.holds(packet) && !rule.unless.iter().any(|not| not.holds(packet));
        if !holds {
            continue;
        }
        let mut goes_on = !rule.unclear.is_empty();
        let said = match &rule.target {
            Target::Accept | Target::Limit(_) => Answers::ACCEPT,
            Target::Drop => Answers::DROP,
            Target::Return => Answers::SILENT,
            Target::Goto(chain) => of_chain(firewall, firewall.rules(chain), packet, depth + 1),
            Target::Jump(chain) => {
                let said = of_chain(firewall, firewall.rules(chain), packet, depth + 1);
                goes_on |= said.silent;
                Answers {
                    silent: false,
                    ..said
                }
            }
            Target::Continue => {
                goes_on = true;
                Answers::default()
            }
            Target::Unclear => {
                goes_on = true;
                Answers {
                    silent: false,
                    ..Answers::ANY
                }
            }
        };
        found = found.or(said);
        if !goes_on {
            return found;
        }
    }
    found.or(Answers::SILENT)
}
