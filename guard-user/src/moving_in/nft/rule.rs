//! One rule of nftables: what it asks of a packet, and what it does. One rule may become several of a chain.

use guard_common::packet::TcpFlags;

use super::{
    super::{
        chains::{ChainRule, SourceLine, Target},
        condition::Condition,
    },
    tokens::Token,
    values::{Selector, Sets, conditions},
};
use crate::{ruleset::model::Transport, text::value::quoted};

/// Most rules that one may become.
const MOST: usize = 256;

/// A rule under construction.
struct Reading<'r> {
    tokens: &'r [Token],
    next: usize,
    /// Where the statement began that is being read.
    begin: usize,
    sets: &'r Sets,
    /// One of each must hold.
    any_of: Vec<Vec<Condition>>,
    unless: Vec<Condition>,
    unclear: Vec<String>,
    comment: Option<String>,
    logs: bool,
    never: bool,
    targets: Vec<(Option<Vec<Condition>>, Target)>,
}

/// The rules of a chain that this one means, for packets of these families.
pub(super) fn read(
    place: &SourceLine,
    tokens: &[Token],
    sets: &Sets,
    family: &Condition,
) -> Vec<ChainRule> {
    let text = text_of(tokens);
    let mut reading = Reading {
        tokens,
        next: 0,
        begin: 0,
        sets,
        any_of: Vec::new(),
        unless: Vec::new(),
        unclear: Vec::new(),
        comment: None,
        logs: false,
        never: false,
        targets: Vec::new(),
    };
    while let Some(token) = reading.take() {
        reading.statement(&token);
    }
    reading.rules(place, &text, family)
}

/// A rule as it is written.
fn text_of(tokens: &[Token]) -> String {
    let words: Vec<String> = tokens
        .iter()
        .filter(|token| !token.is("\n"))
        .map(|token| match token.is_quoted {
            true => format!("\"{}\"", token.text),
            false => token.text.clone(),
        })
        .collect();
    words.join(" ")
}

impl Reading<'_> {
    fn take(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.next)?.clone();
        self.next += 1;
        Some(token)
    }

    fn peek(&self) -> Option<&str> {
        self.tokens.get(self.next).map(|token| token.text.as_str())
    }

    fn take_if(&mut self, words: &[&str]) -> Option<Token> {
        let token = self.tokens.get(self.next)?;
        if token.is_quoted || !words.contains(&token.text.as_str()) {
            return None;
        }
        self.take()
    }

    fn statement(&mut self, token: &Token) {
        self.begin = self.next - 1;
        let word = if token.is_quoted {
            ""
        } else {
            token.text.as_str()
        };
        let behind = self.peek().unwrap_or_default().to_owned();
        match (word, behind.as_str()) {
            ("\n", _) => {}
            ("accept", _) => self.targets.push((None, Target::Accept)),
            ("drop", _) => self.targets.push((None, Target::Drop)),
            ("reject", _) => {
                // How it answers is not what it lets in.
                self.next = self.tokens.len();
                self.targets.push((None, Target::Drop));
            }
            ("return", _) => self.targets.push((None, Target::Return)),
            ("continue", _) => self.targets.push((None, Target::Continue)),
            ("jump" | "goto", _) => {
                let chain = self.take().map(|token| token.text).unwrap_or_default();
                self.targets.push((None, jump(word, chain)));
            }
            ("queue" | "synproxy" | "tproxy", _) => {
                self.next = self.tokens.len();
                self.targets.push((None, Target::Unclear));
            }
            ("counter", _) => {
                while self.take_if(&["packets", "bytes", "name"]).is_some() {
                    self.take();
                }
            }
            ("comment", _) => self.comment = self.take().map(|token| token.text),
            ("log", _) => {
                self.logs = true;
                let words = [
                    "prefix",
                    "level",
                    "group",
                    "snaplen",
                    "queue-threshold",
                    "flags",
                ];
                while self.take_if(&words).is_some() {
                    self.take();
                    while self.take_if(&[",", "sequence", "options"]).is_some() {}
                }
            }
            ("notrack", _) => {}
            ("ip", "saddr") => self.ask(Selector::Source { is_v4: true }),
            ("ip6", "saddr") => self.ask(Selector::Source { is_v4: false }),
            ("ip", "daddr") => self.ask(Selector::Destination { is_v4: true }),
            ("ip6", "daddr") => self.ask(Selector::Destination { is_v4: false }),
            ("ip", "protocol") => self.ask(Selector::Protocol {
                v4: true,
                v6: false,
            }),
            ("ip6", "nexthdr") => self.ask(Selector::Protocol {
                v4: false,
                v6: true,
            }),
            ("tcp", "dport") => self.ask(Selector::Port(Transport::Tcp)),
            ("udp", "dport") => self.ask(Selector::Port(Transport::Udp)),
            ("tcp", "sport") => self.ask(Selector::SourcePort(Transport::Tcp)),
            ("udp", "sport") => self.ask(Selector::SourcePort(Transport::Udp)),
            ("th", "dport") => self.ask(Selector::Port(Transport::Both)),
            ("th", "sport") => self.ask(Selector::SourcePort(Transport::Both)),
            ("tcp", "flags") => {
                self.take();
                self.flags();
            }
            ("icmp", "type") => self.ask(Selector::Icmp { is_v4: true }),
            ("icmpv6", "type") => self.ask(Selector::Icmp { is_v4: false }),
            ("ct", "state") => self.ask(Selector::State),
            ("iifname" | "iif", _) => {
                self.next -= 1;
                self.ask(Selector::Interface);
            }
            ("meta", "iifname" | "iif") => self.ask(Selector::Interface),
            ("meta", "l4proto") => self.ask(Selector::Protocol { v4: true, v6: true }),
            ("meta", "nfproto" | "protocol") => self.ask(Selector::Family),
            ("fib", "daddr")
                if self
                    .tokens
                    .get(self.next + 1)
                    .is_some_and(|next| next.is("type")) =>
            {
                self.take();
                self.ask(Selector::CastType);
            }
            _ => self.not_understood(token),
        }
    }

    /// A word that is not known, with what seems to belong to it.
    fn not_understood(&mut self, token: &Token) {
        const ENDS: [&str; 8] = [
            "accept", "drop", "reject", "return", "jump", "goto", "counter", "comment",
        ];
        let mut text = token.text.clone();
        let mut depth = usize::from(token.is("{"));
        while let Some(next) = self.tokens.get(self.next) {
            if depth == 0 && (ENDS.iter().any(|end| next.is(end)) || next.is("log")) {
                break;
            }
            depth += usize::from(next.is("{"));
            depth = depth.saturating_sub(usize::from(next.is("}")));
            if !next.is("\n") {
                text.push(' ');
                text.push_str(&next.text);
            }
            self.next += 1;
        }
        self.unclear.push(quoted(&text));
    }

    /// An expression, whose last word is still to come, and what it is compared with.
    fn ask(&mut self, selector: Selector) {
        let begin = self.begin;
        self.take();
        if self.take_if(&["."]).is_some() {
            return self.give_up(begin);
        }
        if self.take_if(&["vmap"]).is_some() {
            return self.map(selector, begin);
        }
        let is_negated = self.take_if(&["!="]).is_some();
        if !is_negated {
            self.take_if(&["=="]);
        }
        let Some(values) = self.values() else {
            self.any_of.push(vec![selector.at_least()]);
            return self.give_up(begin);
        };
        let Some(found) = conditions(selector, &values, self.sets) else {
            // Whatever the value is, it is one of this family or transport.
            self.any_of.push(vec![selector.at_least()]);
            let end = self.next.min(self.tokens.len());
            self.unclear
                .push(quoted(&text_of(&self.tokens[begin..end])));
            return;
        };
        if is_negated {
            self.unless.extend(found);
        } else {
            self.never |= found.is_empty();
            self.any_of.push(found);
        }
    }

    /// What began there is not understood.
    fn give_up(&mut self, begin: usize) {
        self.next = begin + 1;
        if let Some(token) = self.tokens.get(begin).cloned() {
            self.not_understood(&token);
        }
    }

    /// One value, several with commas between them, or a list in braces.
    fn values(&mut self) -> Option<Vec<String>> {
        let mut values = Vec::new();
        if self.take_if(&["{"]).is_some() {
            loop {
                let token = self.take()?;
                if token.is("}") {
                    return Some(values);
                }
                if token.is(",") || token.is("\n") {
                    continue;
                }
                if token.is(".") || token.is("{") || token.is(":") {
                    return None;
                }
                values.push(token.text);
            }
        }
        loop {
            let token = self.take()?;
            if ["&", "|", "(", "{", "<", ">", "<=", ">="]
                .iter()
                .any(|mark| token.is(mark))
            {
                return None;
            }
            values.push(token.text);
            if self.take_if(&[","]).is_none() {
                break;
            }
        }
        // What is calculated with is not a value.
        match self.peek() {
            Some("&" | "|" | "/" | ".") => None,
            Some(_) | None => Some(values),
        }
    }

    /// `vmap { new : jump services, invalid : drop }`.
    fn map(&mut self, selector: Selector, begin: usize) {
        if self.take_if(&["{"]).is_none() {
            self.give_up(begin);
            self.targets.push((None, Target::Unclear));
            return;
        }
        loop {
            while self.take_if(&[",", "\n"]).is_some() {}
            if self.take_if(&["}"]).is_some() {
                return;
            }
            let Some(key) = self.take() else {
                return;
            };
            let is_target = self.take_if(&[":"]).is_some();
            let verdict = self.take().map(|token| token.text).unwrap_or_default();
            let target = match verdict.as_str() {
                "accept" => Target::Accept,
                "drop" => Target::Drop,
                "return" => Target::Return,
                "continue" => Target::Continue,
                "jump" | "goto" => {
                    let chain = self.take().map(|token| token.text).unwrap_or_default();
                    jump(&verdict, chain)
                }
                _ => Target::Unclear,
            };
            let found = conditions(selector, std::slice::from_ref(&key.text), self.sets);
            match found.filter(|_| is_target) {
                Some(found) => self.targets.push((Some(found), target)),
                None => {
                    self.unclear.push(quoted(&format!("{} in a map", key.text)));
                    self.targets.push((None, Target::Unclear));
                    self.next = self.tokens.len();
                    return;
                }
            }
        }
    }

    /// `syn`, `syn / fin,syn,rst,ack`, `& (fin | syn) == syn`, each perhaps negated: what a SYN has of them.
    fn flags(&mut self) {
        let begin = self.next;
        let mut rest = Vec::new();
        while let Some(token) = self.tokens.get(self.next) {
            let is_part = bit(&token.text).is_some()
                || [
                    "&", "|", "(", ")", "==", "!=", "/", ",", "{", "}", "0x0", "0",
                ]
                .contains(&token.text.as_str());
            if !is_part {
                break;
            }
            rest.push(token.text.clone());
            self.next += 1;
        }
        match is_met_by_syn(&rest) {
            Some(is_met) => self.never |= !is_met,
            None => {
                let text = format!("tcp flags {}", rest.join(" "));
                self.unclear.push(quoted(&text));
                if self.next == begin {
                    self.take();
                }
            }
        }
        // Flags are TCP's alone.
        let all = super::values::conditions(
            Selector::Protocol { v4: true, v6: true },
            &["tcp".to_owned()],
            self.sets,
        );
        self.any_of.extend(all);
    }

    fn rules(self, place: &SourceLine, text: &str, family: &Condition) -> Vec<ChainRule> {
        let mut whens = vec![family.clone()];
        for any_of in &self.any_of {
            let mut both = Vec::new();
            for when in &whens {
                both.extend(any_of.iter().filter_map(|one| when.and(one)));
            }
            whens = both;
        }
        if self.never {
            whens.clear();
        }
        let mut rules = Vec::new();
        let mut push = |when: &Condition, target: &Target| {
            let mut rule = ChainRule::new(place.clone(), text, target.clone()).when(when.clone());
            rule.unless.clone_from(&self.unless);
            rule.unclear.clone_from(&self.unclear);
            rule.comment.clone_from(&self.comment);
            rules.push(rule);
        };
        for when in &whens {
            if self.logs {
                push(when, &Target::Continue);
            }
            for (keys, target) in &self.targets {
                match keys {
                    None => push(when, target),
                    Some(keys) => {
                        for key in keys {
                            if let Some(both) = when.and(key) {
                                push(&both, target);
                            }
                        }
                    }
                }
            }
        }
        if rules.len() > MOST {
            // Whatever it is about: nobody reads so many.
            let mut rule =
                ChainRule::new(place.clone(), text, Target::Unclear).when(family.clone());
            rule.unclear.push("a list of this length".to_owned());
            return vec![rule];
        }
        rules
    }
}

fn jump(word: &str, chain: String) -> Target {
    match word {
        "goto" => Target::Goto(chain),
        _ => Target::Jump(chain),
    }
}

fn bit(name: &str) -> Option<u8> {
    match name {
        "syn" => Some(TcpFlags::SYN),
        "ack" => Some(TcpFlags::ACK),
        "fin" => Some(TcpFlags::FIN),
        "rst" => Some(TcpFlags::RST),
        "urg" => Some(TcpFlags::URG),
        "psh" => Some(TcpFlags::PSH),
        "ecn" => Some(0x40),
        "cwr" => Some(0x80),
        "0x0" | "0" => Some(0),
        _ => None,
    }
}

/// Has a SYN these flags? `None` for what is not understood.
fn is_met_by_syn(words: &[String]) -> Option<bool> {
    let bits = |words: &[String]| {
        words
            .iter()
            .filter(|word| !["|", "(", ")", ","].contains(&word.as_str()))
            .try_fold(0, |bits, word| Some(bits | bit(word)?))
    };
    let position = |mark: &str| words.iter().position(|word| word == mark);
    let is_negated = position("!=").is_some();
    let (mask, wanted) = if words.first().is_some_and(|word| word == "&") {
        // & MASK == WANTED
        let at = position("==").or(position("!="))?;
        (bits(&words[1..at])?, bits(&words[at + 1..])?)
    } else {
        let begin = usize::from(
            words
                .first()
                .is_some_and(|word| word == "!=" || word == "=="),
        );
        match position("/") {
            Some(at) if at >= begin => (bits(&words[at + 1..])?, bits(&words[begin..at])?),
            Some(_) => return None,
            // With a comparison they are all of them; alone, one of them must be there.
            None if begin > 0 => {
                let is_list = words.iter().any(|word| word == ",");
                let exactly = bits(&words[begin..]).filter(|_| !is_list)?;
                return Some((exactly == TcpFlags::SYN) != is_negated);
            }
            None => return Some(bits(words)? & TcpFlags::SYN != 0),
        }
    };
    Some((TcpFlags::SYN & mask == wanted) != is_negated)
}
