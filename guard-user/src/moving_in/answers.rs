//! What another firewall does with a packet: its chains, gone through rule by rule. Where a rule asks for something
//! that is not understood, every answer that is possible.

use std::collections::BTreeMap;

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
    let mut asked = Evaluation {
        firewall,
        packet,
        said: BTreeMap::new(),
    };
    for stage in &firewall.stages {
        if !stage.when.holds(packet) {
            continue;
        }
        let mut said = asked.chain(&stage.chain, 0);
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

/// The chains that have been asked about a packet. Each is asked once: where rules are not understood, packets may go
/// many ways through the same chains.
struct Evaluation<'f> {
    firewall: &'f Firewall,
    packet: &'f Probe,
    /// `None`: it is being asked.
    said: BTreeMap<&'f str, Option<Answers>>,
}

impl<'f> Evaluation<'f> {
    fn chain(&mut self, chain: &'f str, depth: usize) -> Answers {
        match self.said.get(chain) {
            Some(Some(said)) => return *said,
            None if depth <= MAX_DEPTH => {}
            // Jumps in a circle, or too deep ones: netfilter takes neither.
            Some(None) | None => return Answers::ANY,
        }
        self.said.insert(chain, None);
        let said = self.rules(self.firewall.rules(chain), depth);
        self.said.insert(chain, Some(said));
        said
    }

    fn rules(&mut self, rules: &'f [ChainRule], depth: usize) -> Answers {
        let packet = self.packet;
        let mut found = Answers::default();
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
                Target::Goto(chain) => self.chain(chain, depth + 1),
                Target::Jump(chain) => {
                    let said = self.chain(chain, depth + 1);
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::moving_in::{
        chains::{SourceLine, Stage},
        condition::Condition,
        packet::ProbeService,
    };

    /// A rule that nobody understands, which goes to another chain.
    fn unclear(to: &str) -> ChainRule {
        let place = SourceLine {
            file: "rules".into(),
            line: 1,
        };
        let mut rule = ChainRule::new(place, "?", Target::Jump(to.to_owned()));
        rule.unclear.push("?".to_owned());
        rule
    }

    fn asked(chains: BTreeMap<String, Vec<ChainRule>>) -> Answers {
        let firewall = Firewall {
            stages: vec![Stage {
                chain: "0".to_owned(),
                accepts: true,
                when: Condition::default(),
            }],
            chains,
        };
        let packet = Probe {
            source: [203, 0, 113, 9].into(),
            destination: [192, 0, 2, 1].into(),
            interface: "eth0".to_owned(),
            asked: ProbeService::Tcp {
                from: 40_000,
                to: 22,
            },
        };
        answers(&firewall, &packet)
    }

    #[test]
    fn many_ways_through_the_same_chains_are_gone_once() {
        // There are 3^60 ways, which nobody lives to see the end of.
        let chains = (0..60).map(|n| (n.to_string(), vec![unclear(&(n + 1).to_string()); 3]));
        let found = asked(chains.collect());
        assert!(found.surely_accepted(), "{found:?}");
    }

    #[test]
    fn chains_in_a_circle_may_say_anything() {
        let chains = [("0".to_owned(), vec![unclear("0"); 3])];
        let found = asked(chains.into());
        assert!(found.accept && found.drop, "{found:?}");
    }
}
