//! A rule as it is typed: ufw's grammar, and the short form "source, then port". Reads words, not
//! files; what ufw knows and guard does not is refused with a way out.

use limit_draft::LimitDraft;

use super::{
    host_names,
    labels::{self, Labels},
    limit::Limit,
    model::{Prefixes, Rule, RuleAction},
    names::Names,
    prefixes::{self, PrefixList},
    profiles::{Entry, Profile},
    protocol::Protocol,
    sets::{self, SetTable},
    traffic::{self, PortItem},
    until::Until,
};
use crate::text::{
    address::{self, AddressItem},
    value::{self, BadValue},
};

mod conditions;
mod error;
mod limit_draft;
mod named;
mod refused;

pub use error::WordsError;
pub use named::host_names;

/// What words may refer to.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'s> {
    /// Services and protocols.
    pub names: &'s Names,
    /// Named sets.
    pub sets: &'s SetTable,
}

/// A rule that was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// The rule, without an origin.
    pub rule: Rule,
    /// The second one of a profile that means other ports for UDP than for TCP.
    pub second: Option<Rule>,
    /// The application profile that it was made of.
    pub profile: Option<String>,
    /// What was not taken literally.
    pub warnings: Vec<String>,
}

/// Reads the words of a rule, beginning with `allow`, `deny` or `limit`; what people call it stands among them as
/// `--name` and `--tag`, and when it ends as `--for` or `--until`.
pub fn parse<S: AsRef<str>>(words: &[S], scope: &Scope<'_>) -> Result<Parsed, WordsError> {
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    let mut parser = Parser {
        words: &words,
        next: 0,
        scope,
        warnings: Vec::new(),
        draft: RuleDraft::default(),
    };
    let action = parser.action()?;
    while parser.next < words.len() {
        parser.clause()?;
    }
    parser.finish(action)
}

/// What was said, each with the index of its word.
#[derive(Default)]
struct RuleDraft<'w> {
    source: Option<(usize, Prefixes)>,
    source_ports: Option<(usize, Vec<PortItem>)>,
    destination: Option<(usize, Prefixes)>,
    ports: Option<(usize, Vec<PortItem>)>,
    profile: Option<(usize, &'w Profile)>,
    protocol: Option<(usize, Protocol)>,
    icmp_type: Option<(usize, &'w str)>,
    interface: Option<String>,
    until: Option<Until>,
    comment: Option<String>,
    labels: Labels,
    limit: LimitDraft,
    is_in: bool,
}

struct Parser<'w> {
    words: &'w [&'w str],
    next: usize,
    scope: &'w Scope<'w>,
    warnings: Vec<String>,
    draft: RuleDraft<'w>,
}

type Read<T> = Result<T, WordsError>;

impl<'w> Parser<'w> {
    fn action(&mut self) -> Read<RuleAction> {
        let action = match self.words.first() {
            Some(word) if word.eq_ignore_ascii_case("allow") => RuleAction::Allow,
            Some(word) if word.eq_ignore_ascii_case("deny") => RuleAction::Deny,
            // What rate and burst say comes later.
            Some(word) if word.eq_ignore_ascii_case("limit") => RuleAction::Limit(Limit::default()),
            Some(word) => return Err(fail(0, refused::action(word))),
            None => return Err(fail(0, refused::nothing_said())),
        };
        self.next = 1;
        Ok(action)
    }

    fn clause(&mut self) -> Read<()> {
        let at = self.next;
        let word = self.words[at].to_lowercase();
        self.next += 1;
        // ufw tells profiles from services by their capital letters.
        if let Some(profile) = self.scope.names.profiles.get(self.words[at]) {
            return self.set_entry(at, profile);
        }
        match word.as_str() {
            "in" => self.direction(at),
            "on" => self.on(at),
            "from" => self.from(at),
            "to" => self.to(at),
            "proto" => {
                let (value, text) = self.value(at, "a protocol, e.g. tcp")?;
                let protocol = self.scope.names.protocols.parse(text);
                self.set_protocol(value, protocol.map_err(|bad| fail(value, bad))?)
            }
            "type" => self.icmp_type(at),
            "app" => self.app(at),
            "rate" | "packets" | "burst" | "block" => {
                let (value, text) = self.value(at, LimitDraft::expected(&word))?;
                self.draft.limit.set(&word, (at, value), text)
            }
            "on-excess" => self.on_excess(at),
            "comment" => self.comment(at),
            "--name" => self.name(at),
            "--tag" => self.tag(at),
            "--for" | "--until" => self.end(at),
            _ => match refused::keyword(&word) {
                Some(bad) => Err(fail(at, bad)),
                None => self.bare(at),
            },
        }
    }

    fn direction(&mut self, at: usize) -> Read<()> {
        if std::mem::replace(&mut self.draft.is_in, true) {
            return Err(fail(at, refused::twice("in")));
        }
        Ok(())
    }

    fn on(&mut self, at: usize) -> Read<()> {
        let (value, text) = self.value(at, "an interface, e.g. eth0")?;
        if self.draft.interface.is_some() {
            return Err(fail(at, refused::twice("on")));
        }
        let name = value::interface_name(text).map_err(|bad| fail(value, bad))?;
        self.draft.interface = Some(name);
        Ok(())
    }

    fn from(&mut self, at: usize) -> Read<()> {
        let (value, text) = self.value(at, "an address, a prefix, @set or any")?;
        let prefixes = self.addresses(value, text)?;
        self.set_source(at, prefixes)?;
        if self.next_is("app") {
            return Err(fail(self.next, refused::source_profile()));
        }
        if self.next_is("port") {
            return self.source_ports();
        }
        Ok(())
    }

    fn to(&mut self, at: usize) -> Read<()> {
        let (value, text) = self.value(at, "an address, a prefix, @set or any")?;
        if self.draft.destination.is_some() {
            return Err(fail(at, refused::twice("to")));
        }
        let prefixes = self.addresses(value, text)?;
        self.draft.destination = Some((value, prefixes));
        if self.next_is("port") {
            let keyword = self.next;
            self.next += 1;
            let (value, text) = self.value(keyword, "a port, e.g. 22")?;
            return self.set_ports(value, text);
        }
        Ok(())
    }

    fn icmp_type(&mut self, at: usize) -> Read<()> {
        let (value, text) = self.value(at, "a type of ICMP, e.g. time-exceeded")?;
        match self.draft.icmp_type.replace((value, text)) {
            Some(_) => Err(fail(at, refused::twice("type"))),
            None => Ok(()),
        }
    }

    fn app(&mut self, at: usize) -> Read<()> {
        let (value, text) = self.value(at, "an application profile, e.g. 'Nginx Full'")?;
        match self.scope.names.profiles.find(text) {
            Some(entry) => self.set_entry(value, entry),
            None => Err(fail(
                value,
                refused::unknown_profile(text, self.scope.names),
            )),
        }
    }

    fn comment(&mut self, at: usize) -> Read<()> {
        let (value, text) = self.value(at, "a text in quotes")?;
        if let Some(rest) = self.words.get(self.next) {
            return Err(fail(self.next, refused::after_comment(rest)));
        }
        let text = value::comment(text).map_err(|bad| fail(value, bad))?;
        self.draft.comment = Some(text);
        Ok(())
    }

    fn name(&mut self, at: usize) -> Read<()> {
        let (value, text) = self.value(at, "a name, e.g. office-ssh")?;
        let name = labels::rule_name(text).map_err(|bad| fail(value, bad))?;
        match self.draft.labels.name.replace(name) {
            Some(_) => Err(fail(at, refused::twice("--name"))),
            None => Ok(()),
        }
    }

    fn tag(&mut self, at: usize) -> Read<()> {
        let (value, text) = self.value(at, "a tag, e.g. office")?;
        labels::add_tag(&mut self.draft.labels.tags, text).map_err(|bad| fail(value, bad))
    }

    /// A word that stands for itself: an address, a port with or without protocol, `ping`, or `icmp` before `type`.
    fn bare(&mut self, at: usize) -> Read<()> {
        let word = self.words[at];
        // `icmp` alone reads like a service; with its type nobody can mean one.
        if word.eq_ignore_ascii_case("ping")
            || self.next_is("type") && word.to_lowercase().contains("icmp")
        {
            let protocol = self.scope.names.protocols.parse(word);
            return self.set_protocol(at, protocol.map_err(|bad| fail(at, bad))?);
        }
        if address::looks_like_address(word) {
            if self.draft.ports.is_some() {
                return Err(fail(at, refused::address_after_port(word)));
            }
            let prefixes = self.addresses(at, word)?;
            return self.set_source(at, prefixes);
        }
        let Some((ports, protocol)) = word.rsplit_once('/') else {
            let names = self.scope.names;
            let is_name = word.contains(|letter: char| letter.is_ascii_alphabetic())
                && !word.contains([',', ':']);
            if !is_name || names.services.get(word).is_some() {
                return self.set_ports(at, word);
            }
            if let Some(profile) = names.profiles.find(word) {
                return self.set_entry(at, profile);
            }
            return match refused::perhaps_profile(word, names) {
                Some(bad) if self.draft.ports.is_none() => Err(fail(at, bad)),
                Some(_) | None => self.set_ports(at, word),
            };
        };
        if self.scope.names.profiles.get(ports).is_some() {
            return Err(fail(at, refused::protocol_of_profile(ports)));
        }
        self.set_ports(at, ports)?;
        let protocol = self.scope.names.protocols.parse(protocol);
        self.set_protocol(at, protocol.map_err(|bad| fail(at, bad))?)
    }

    fn set_source(&mut self, at: usize, prefixes: Prefixes) -> Read<()> {
        if self.draft.source.is_some() {
            return Err(fail(at, refused::two_sources(self.words[at])));
        }
        self.draft.source = Some((at, prefixes));
        Ok(())
    }

    fn set_entry(&mut self, at: usize, entry: &'w Entry) -> Read<()> {
        match entry {
            Ok(profile) => self.set_profile(at, profile),
            Err(mistake) => Err(fail(at, refused::broken_profile(mistake))),
        }
    }

    fn set_profile(&mut self, at: usize, profile: &'w Profile) -> Read<()> {
        if self.draft.ports.is_some() || self.draft.profile.is_some() {
            return Err(fail(at, refused::two_ports(self.words[at])));
        }
        self.draft.profile = Some((at, profile));
        let unreadable = self.scope.names.profiles.unreadable().iter();
        self.warnings.extend(
            unreadable.map(|problem| format!("{problem}: its application profiles are not known")),
        );
        let service = self.scope.names.services.get(&profile.name);
        let item = service.map(|service| PortItem::Service(profile.name.to_lowercase(), service));
        let meant = item.map(|item| traffic::resolve(&[item], Protocol::Any));
        if let Some(Ok(meant)) = meant
            && profile.traffic != [meant.clone()]
        {
            self.warnings
                .push(refused::not_the_service(profile, &meant));
        }
        Ok(())
    }

    fn set_ports(&mut self, at: usize, text: &str) -> Read<()> {
        if self.draft.ports.is_some() || self.draft.profile.is_some() {
            return Err(fail(at, refused::two_ports(text)));
        }
        let services = &self.scope.names.services;
        let is_name = text.bytes().all(|byte| byte.is_ascii_alphabetic());
        let ports = traffic::parse_ports(text, services).map_err(|bad| {
            // `allow gre` is a protocol that was meant.
            match self.scope.names.protocols.parse(text) {
                Ok(_) if is_name && !text.is_empty() => fail(at, refused::bare_protocol(text)),
                Ok(_) | Err(_) => fail(at, bad),
            }
        })?;
        self.draft.ports = Some((at, ports));
        Ok(())
    }

    fn set_protocol(&mut self, at: usize, protocol: Protocol) -> Read<()> {
        if self.draft.protocol.is_some() {
            return Err(fail(at, refused::twice("protocol")));
        }
        self.draft.protocol = Some((at, protocol));
        Ok(())
    }

    fn addresses(&mut self, at: usize, text: &str) -> Read<Prefixes> {
        let mut list = PrefixList::default();
        let count = text.split(',').count();
        for part in text.split(',') {
            let (item, note) = address::parse_item(part).map_err(|bad| fail(at, bad))?;
            self.warnings.extend(note);
            match item {
                AddressItem::Any if count > 1 => {
                    return Err(fail(at, refused::any_in_list(text)));
                }
                AddressItem::Any => {}
                AddressItem::Network(network) => list.add_network(network),
                AddressItem::Set(name) => {
                    let Some(content) = self.scope.sets.get(&name) else {
                        let known = self.scope.sets.keys().map(String::as_str);
                        return Err(fail(at, sets::unknown(&name, known)));
                    };
                    list.add_set(name, Some(content));
                }
                AddressItem::Name(name) => {
                    let Some(content) = self.scope.sets.get(&name) else {
                        return Err(fail(at, host_names::unknown(&name)));
                    };
                    list.add_set(name, Some(content));
                }
            }
        }
        Ok(list.finish())
    }

    /// The word after a keyword.
    fn value(&mut self, keyword: usize, expected: &str) -> Read<(usize, &'w str)> {
        let at = self.next;
        let Some(text) = self.words.get(at) else {
            let bad = refused::missing_after(self.words[keyword], expected);
            return Err(fail(at, bad));
        };
        self.next += 1;
        Ok((at, text))
    }

    fn next_is(&self, keyword: &str) -> bool {
        let next = self.words.get(self.next);
        next.is_some_and(|word| word.eq_ignore_ascii_case(keyword))
    }

    fn finish(self, action: RuleAction) -> Read<Parsed> {
        let RuleDraft {
            source,
            source_ports,
            destination,
            ports,
            profile,
            protocol,
            icmp_type,
            interface,
            until,
            comment,
            labels,
            limit,
            is_in: _,
        } = self.draft;
        let end = self.words.len();
        let mut warnings = self.warnings;
        let says_nothing = source.is_none()
            && destination.is_none()
            && ports.is_none()
            && profile.is_none()
            && protocol.is_none()
            && icmp_type.is_none()
            && interface.is_none();
        if says_nothing {
            return Err(fail(end, refused::nothing_said()));
        }
        let protocol = match icmp_type {
            None => protocol,
            Some((at, text)) => {
                let (_, of) = protocol.unwrap_or((at, Protocol::Any));
                Some((at, of.of_type(text).map_err(|bad| fail(at, bad))?))
            }
        };
        let protocol_at = protocol.map(|(at, _)| at);
        let wrong = ports.as_ref().map(|(at, _)| *at).or(protocol_at);
        let traffic = match (profile, protocol) {
            (Some((_, profile)), None) => profile.traffic.clone(),
            (Some((_, profile)), Some((at, _))) => {
                return Err(fail(at, refused::protocol_of_profile(&profile.name)));
            }
            (None, protocol) => vec![
                traffic::resolve(
                    ports.as_ref().map_or(&[], |(_, ports)| ports.as_slice()),
                    protocol.map_or(Protocol::Any, |(_, protocol)| protocol),
                )
                .map_err(|bad| fail(wrong.unwrap_or(end), bad))?,
            ],
        };
        let says_more = ports.is_some() || profile.is_some() || destination.is_some();
        let (traffic, source_ports) =
            conditions::of_sender(traffic, source_ports, says_more, &mut warnings)?;
        let action = match action {
            RuleAction::Limit(_) => {
                RuleAction::Limit(limit.finish(&traffic, wrong.unwrap_or(end), end)?)
            }
            RuleAction::Allow | RuleAction::Deny => match limit.first() {
                Some(at) => return Err(fail(at, refused::no_limit(self.words[at]))),
                None => action,
            },
        };
        let destination_at = destination.as_ref().map_or(end, |(at, _)| *at);
        let source = source.map(|(_, source)| source).unwrap_or_default();
        let destination = destination
            .map(|(_, prefixes)| prefixes)
            .unwrap_or_default();
        prefixes::check_families(&source, &destination).map_err(|bad| fail(destination_at, bad))?;
        if let (Some((at, profile)), Some(_), [_, _, ..]) =
            (profile, &labels.name, traffic.as_slice())
        {
            return Err(fail(at, refused::name_of_two(&profile.name)));
        }
        let mut rules = traffic.into_iter().map(|traffic| Rule {
            action,
            traffic,
            source: source.clone(),
            source_ports: source_ports.clone(),
            destination: destination.clone(),
            interface: interface.clone(),
            until,
            comment: comment.clone(),
            labels: labels.clone(),
            is_enabled: true,
            origin: None,
        });
        let Some(rule) = rules.next() else {
            return Err(fail(end, refused::nothing_said()));
        };
        Ok(Parsed {
            rule,
            second: rules.next(),
            profile: profile.map(|(_, profile)| profile.name.clone()),
            warnings,
        })
    }
}

fn fail(word: usize, bad: BadValue) -> WordsError {
    WordsError {
        word,
        message: bad.message,
        help: bad.help,
    }
}

#[cfg(test)]
mod tests;
