//! Chains become rules of which the first that matches decides, as guard has them. What cannot be said is left out in
//! the direction that lets in less: an accept is dropped from the list, a drop is made as wide as it may be.

use std::collections::BTreeSet;

use super::{
    chains::{ChainRule, Firewall, Remark, SourceLine, Target},
    condition::Condition,
    own_matters::{self, Matter},
};
use crate::{
    failure::{Exit, Failure},
    ruleset::model::{RuleAction, Traffic},
};

/// A rule of which the first that matches decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlatRule {
    /// Whom it is about.
    pub when: Condition,
    /// What happens.
    pub action: RuleAction,
    /// Where it comes from.
    pub place: Option<SourceLine>,
    /// Free text of the operator.
    pub comment: Option<String>,
}

/// All of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flat {
    /// In order.
    pub rules: Vec<FlatRule>,
    /// What could not be expressed, once for each rule.
    pub left: Vec<Remark>,
    /// Rules that the other firewall brought along and guard has no words for: none of them lets guard let in more.
    pub stock_left: BTreeSet<SourceLine>,
    /// Rules that are about what guard decides without rules.
    pub own_matters: BTreeSet<Matter>,
}

/// Most rules that a firewall may become.
const MAX_RULES: usize = 20_000;
/// Most rules of chains that are looked at for it.
const MAX_STEPS: usize = 2_000_000;
/// Deepest jump from chain to chain.
const MAX_DEPTH: usize = 100;

/// Where a packet goes on when a chain has nothing to say: the chain and the index of its next rule, outermost first.
#[derive(Clone)]
struct Frames<'f> {
    stage: usize,
    stack: Vec<(&'f [ChainRule], usize)>,
}

struct Flattener<'f> {
    firewall: &'f Firewall,
    flat: Flat,
    steps: usize,
    depth: usize,
}

/// Makes rules of chains.
///
/// # Errors
/// When they jump in circles, or into so many combinations that nobody could read the result.
pub fn flatten(firewall: &Firewall) -> Result<Flat, Failure> {
    let mut flattener = Flattener {
        firewall,
        flat: Flat::default(),
        steps: 0,
        depth: 0,
    };
    flattener.stage(0, &Condition::default())?;
    Ok(flattener.flat)
}

impl<'f> Flattener<'f> {
    /// Packets that all stages before this one accept.
    fn stage(&mut self, index: usize, packets: &Condition) -> Result<(), Failure> {
        let firewall = self.firewall;
        let Some(stage) = firewall.stages.get(index) else {
            return self.push(packets.clone(), RuleAction::Allow, None, None);
        };
        let rules = firewall.rules(&stage.chain);
        let entering = packets.and(&stage.when);
        let mut is_whole = false;
        if let Some(entering) = &entering {
            let frames = Frames {
                stage: index,
                stack: vec![(rules, 0)],
            };
            // Those that the chain says nothing about fall out of it here.
            self.walk(frames, entering, 1)?;
            if !stage.accepts {
                self.push(entering.clone(), RuleAction::Deny, None, None)?;
                is_whole = entering == packets;
            }
        }
        if is_whole {
            return Ok(());
        }
        self.stage(index + 1, packets)
    }

    /// These packets go on from here; those that fall out of the chain at depth `floor` are somebody else's.
    fn walk(
        &mut self,
        frames: Frames<'f>,
        packets: &Condition,
        floor: usize,
    ) -> Result<(), Failure> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(too_complex(
                "jump from chain to chain in circles, or too deeply",
            ));
        }
        let walked = self.walk_on(frames, packets, floor);
        self.depth -= 1;
        walked
    }

    fn walk_on(
        &mut self,
        mut frames: Frames<'f>,
        packets: &Condition,
        floor: usize,
    ) -> Result<(), Failure> {
        while let Some((rules, next)) = frames.stack.last_mut() {
            let Some(rule) = rules.get(*next) else {
                frames.stack.pop();
                if frames.stack.len() < floor {
                    return Ok(());
                }
                continue;
            };
            *next += 1;
            self.step(packets, rule)?;
            if self.rule(rule, &mut frames, packets)? {
                return Ok(());
            }
        }
        if floor > 0 {
            return Ok(());
        }
        let stage = frames.stage;
        if self.firewall.stages[stage].accepts {
            self.stage(stage + 1, packets)
        } else {
            self.push(packets.clone(), RuleAction::Deny, None, None)
        }
    }

    /// One rule. Are all packets decided then?
    fn rule(
        &mut self,
        rule: &'f ChainRule,
        frames: &mut Frames<'f>,
        packets: &Condition,
    ) -> Result<bool, Failure> {
        let Some(matched) = packets.and(&rule.when) else {
            return Ok(false);
        };
        // guard does not filter what a host sends to itself.
        if matched.interface.as_deref() == Some("lo") {
            return Ok(false);
        }
        for not in &rule.unless {
            let Some(excepted) = matched.and(not) else {
                continue;
            };
            if excepted == matched {
                return Ok(false);
            }
            if let Target::Continue = rule.target {
                break;
            }
            self.walk(frames.clone(), &excepted, 0)?;
        }
        let is_clear = rule.unclear.is_empty();
        if !is_clear {
            self.unclear(rule, &matched)?;
            return Ok(false);
        }
        let is_all = matched == *packets;
        match &rule.target {
            Target::Accept => {
                self.accept(rule, frames.stage, matched, RuleAction::Allow)?;
                Ok(is_all)
            }
            Target::Limit(limit) => {
                self.accept(rule, frames.stage, matched, RuleAction::Limit(*limit))?;
                Ok(is_all)
            }
            Target::Drop => {
                let comment = rule.comment.clone();
                self.push(matched, RuleAction::Deny, Some(rule), comment)?;
                Ok(is_all)
            }
            Target::Unclear => {
                self.unclear(rule, &matched)?;
                Ok(false)
            }
            Target::Continue => {
                self.left_out(
                    rule,
                    "nothing of this happens in guard: it counts packets by rule and reason",
                );
                Ok(false)
            }
            Target::Return => {
                if is_all {
                    frames.stack.pop();
                    return Ok(false);
                }
                let mut outer = frames.clone();
                outer.stack.pop();
                self.walk(outer, &matched, 0)?;
                Ok(false)
            }
            Target::Jump(chain) => {
                let rules = self.firewall.rules(chain);
                let mut inner = frames.clone();
                inner.stack.push((rules, 0));
                let floor = inner.stack.len();
                self.walk(inner, &matched, floor)?;
                Ok(false)
            }
            Target::Goto(chain) => {
                let rules = self.firewall.rules(chain);
                let mut inner = frames.clone();
                inner.stack.pop();
                inner.stack.push((rules, 0));
                self.walk(inner, &matched, 0)?;
                Ok(is_all)
            }
        }
    }

    /// Accepted here; the next stage has its say, too.
    fn accept(
        &mut self,
        rule: &ChainRule,
        stage: usize,
        matched: Condition,
        action: RuleAction,
    ) -> Result<(), Failure> {
        let has_ports = matches!(matched.traffic, Traffic::Ports(..));
        if matches!(action, RuleAction::Limit(_)) && !has_ports {
            self.left_out(
                rule,
                "guard limits connections of tcp and udp: what else this lets in is left out",
            );
        }
        let more = &self.firewall.stages[stage + 1..];
        let is_last = more.iter().all(|stage| {
            let is_open = stage.accepts && self.firewall.rules(&stage.chain).is_empty();
            is_open || matched.and(&stage.when).is_none()
        });
        if is_last {
            return self.push(matched, action, Some(rule), rule.comment.clone());
        }
        if let RuleAction::Limit(_) = action {
            self.left_out(rule, "a limit before other chains: it lets nobody in here");
            return self.push(matched, RuleAction::Deny, Some(rule), rule.comment.clone());
        }
        self.stage(stage + 1, &matched)
    }

    /// A rule that asks for something that is not understood, or does it.
    fn unclear(&mut self, rule: &'f ChainRule, matched: &Condition) -> Result<(), Failure> {
        let why = match rule.unclear.as_slice() {
            [] => "what it does is not understood".to_owned(),
            parts => format!("guard cannot ask for {}", parts.join(" and ")),
        };
        match &rule.target {
            Target::Accept | Target::Limit(_) => {
                self.left_out(rule, format!("left out, because {why}"));
                Ok(())
            }
            Target::Continue => Ok(()),
            // Whoever goes to another chain for good meets no later rule of this one, as whoever returns.
            Target::Drop | Target::Return | Target::Goto(_) | Target::Unclear => {
                self.left_out(
                    rule,
                    format!("denies all that it may be about, because {why}"),
                );
                self.deny_unclear(rule, matched)
            }
            Target::Jump(chain) => {
                self.left_out(
                    rule,
                    format!("chain {chain} denies all that it may drop, because {why}"),
                );
                self.only_drops(chain, matched, 0)
            }
        }
    }

    /// Of a chain that a packet may go through or not: what it may drop.
    fn only_drops(
        &mut self,
        chain: &str,
        packets: &Condition,
        depth: usize,
    ) -> Result<(), Failure> {
        if depth > MAX_DEPTH {
            return Err(too_complex(
                "jump from chain to chain in circles, or too deeply",
            ));
        }
        for rule in self.firewall.rules(chain) {
            self.step(packets, rule)?;
            let Some(matched) = packets.and(&rule.when) else {
                continue;
            };
            match &rule.target {
                Target::Drop | Target::Unclear => self.deny_unclear(rule, &matched)?,
                Target::Jump(chain) | Target::Goto(chain) => {
                    self.only_drops(chain, &matched, depth + 1)?;
                }
                // Of a limit, what exceeds it may be dropped.
                Target::Limit(_) => self.deny_unclear(rule, &matched)?,
                Target::Accept | Target::Return | Target::Continue => {}
            }
        }
        Ok(())
    }

    fn deny_unclear(&mut self, rule: &ChainRule, matched: &Condition) -> Result<(), Failure> {
        let comment = format!("perhaps more than {} drops", rule.place);
        self.push(matched.clone(), RuleAction::Deny, Some(rule), Some(comment))
    }

    fn left_out(&mut self, rule: &ChainRule, what: impl std::fmt::Display) {
        if rule.is_stock {
            self.flat.stock_left.insert(rule.place.clone());
            return;
        }
        let remark = Remark::about(rule, what);
        if !self.flat.left.contains(&remark) {
            self.flat.left.push(remark);
        }
    }

    fn push(
        &mut self,
        when: Condition,
        action: RuleAction,
        rule: Option<&ChainRule>,
        comment: Option<String>,
    ) -> Result<(), Failure> {
        let (when, matter) = own_matters::without(when, action.allows());
        if let Some(matter) = matter {
            self.flat.own_matters.insert(matter);
        }
        let Some(when) = when else {
            return Ok(());
        };
        if self.flat.rules.len() >= MAX_RULES {
            return Err(too_complex("combine into more than 20000 rules"));
        }
        self.flat.rules.push(FlatRule {
            when,
            action,
            place: rule.map(|rule| rule.place.clone()),
            comment,
        });
        Ok(())
    }

    /// A rule is looked at; long lists of addresses cost more.
    fn step(&mut self, packets: &Condition, rule: &ChainRule) -> Result<(), Failure> {
        let length = |condition: &Condition| condition.source.as_ref().map_or(0, Vec::len);
        self.steps += 1 + length(packets).saturating_mul(length(&rule.when)) / 64;
        if self.steps > MAX_STEPS {
            return Err(too_complex("have too many combinations"));
        }
        Ok(())
    }
}

fn too_complex(what: &str) -> Failure {
    Failure::new(Exit::BadConfiguration, format!("these rules {what}"))
        .help("write the policy by hand; see docs/guide/from-nftables.md")
}
