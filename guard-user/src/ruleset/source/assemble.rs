//! Drafts of all files become one policy: sets are resolved, single settings are single, rules get
//! their numbers, and rules that can never match are found.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    path::{Path, PathBuf},
    sync::Arc,
};

use ipnetwork::IpNetwork;

use super::{Loaded, Reading};
use crate::{
    bans::settings::Feed,
    ruleset::{
        describe,
        labels::Labels,
        model::{Policy, Prefixes, Rule, RuleOrigin},
        prefixes::{self, PrefixList},
        schema::{FeedDraft, Located, PolicyDraft, RuleDraft, SetContent, SetDraft},
        sets,
        shadow::{self, Certainty, Shadow},
    },
    text::{
        address::AddressItem,
        diagnostic::{Diagnostic, Diagnostics, Position},
        files::Purpose,
        value::BadValue,
    },
};

type File = Arc<PathBuf>;

impl Reading<'_> {
    pub(super) fn finish(mut self) -> Result<Loaded, Diagnostics> {
        let mut drafts = std::mem::take(&mut self.drafts);
        let hosts = self.hosts(&drafts);
        let host_names = hosts.keys().cloned().collect();
        let sets = self.sets(&mut drafts, hosts);
        let interfaces = self.single("interfaces", &mut drafts, |draft| draft.interfaces.take());
        let unguarded = self.single("unguarded", &mut drafts, |draft| draft.unguarded.take());
        let modes = self.single("xdp-mode", &mut drafts, |draft| draft.modes.take());
        let limits = self.single("[limits]", &mut drafts, |draft| draft.limits.take());
        let limits = limits.unwrap_or_default();
        let default = self.single("default", &mut drafts, |draft| draft.default.take());
        let bans = self.single("[bans]", &mut drafts, |draft| draft.bans.take());
        let metrics = self.single("[metrics]", &mut drafts, |draft| draft.metrics.take());
        let drop_log = self.single("[log]", &mut drafts, |draft| draft.log.take());
        let mut policy = Policy {
            interfaces: interfaces.unwrap_or_default(),
            unguarded: unguarded.unwrap_or_default(),
            modes: modes.unwrap_or_default(),
            default: default.unwrap_or_default(),
            bans: bans.unwrap_or_default(),
            feeds: self.feeds(&mut drafts),
            metrics,
            drop_log: drop_log.flatten(),
            databases: std::mem::take(&mut self.databases),
            sources: limits.sources,
            ceiling: limits.ceiling,
            out_of_state: limits.out_of_state,
            udp: limits.udp,
            flow_table: limits.flow_table,
            ..Policy::default()
        };
        let mut names = BTreeMap::<String, (File, Position)>::new();
        let mut numbered = Vec::new();
        let mut number = 0;
        for (file, draft) in drafts {
            let never = self.prefixes(&file, draft.never, &sets);
            policy.never.extend(never.prefixes);
            for (index, rule) in draft.rules.into_iter().enumerate() {
                number += 1;
                let Some(draft) = rule else { continue };
                let at = draft.at;
                if let Some(name) = &draft.name {
                    self.rule_name(&file, name, &mut names);
                }
                if let Some(rule) = self.rule(&file, index, draft, &sets) {
                    policy.rules.push(rule);
                    numbered.push((number, at));
                }
            }
        }
        for found in shadow::find(&policy.rules) {
            if let Some(problem) = describe_shadow(&found, &policy.rules, &numbered) {
                self.problems.push(problem);
            }
        }
        self.problems.sort(&self.files);
        if self.problems.has_errors() || self.is_incomplete {
            return Err(self.problems);
        }
        let sets = sets
            .into_iter()
            .filter_map(|(name, set)| Some((name, set.content?)))
            .collect();
        Ok(Loaded {
            policy,
            sets,
            host_names,
            warnings: self.problems,
            digest: self.digest.finish(),
            files: self.files,
            extracts: self.extracts,
            documents: self.documents,
        })
    }

    /// Takes the setting that may be given once in all files.
    fn single<T>(
        &mut self,
        key: &str,
        drafts: &mut [(File, PolicyDraft)],
        take: impl Fn(&mut PolicyDraft) -> Option<Located<T>>,
    ) -> Option<T> {
        let mut first: Option<(File, Located<T>)> = None;
        for (file, draft) in drafts {
            let Some(found) = take(draft) else { continue };
            match &first {
                None => first = Some((file.clone(), found)),
                Some((earlier, place)) => {
                    let bad = BadValue::new(format!(
                        "{key} is set already, at {}",
                        place_text(earlier, place.at)
                    ))
                    .help("keep one of the two");
                    self.error(file, found.at, bad);
                }
            }
        }
        first.map(|(_, found)| found.value)
    }

    /// Every feed of every file.
    fn feeds(&mut self, drafts: &mut [(File, PolicyDraft)]) -> Vec<Feed> {
        let mut feeds = Vec::<Feed>::new();
        for (file, draft) in drafts {
            let folder = file.parent().unwrap_or(Path::new(""));
            for draft in std::mem::take(&mut draft.feeds) {
                let FeedDraft {
                    name,
                    file: path,
                    breadth,
                } = draft;
                if feeds.iter().any(|feed| feed.name == name.value) {
                    let bad = BadValue::new(format!("feed \"{}\" is defined twice", name.value))
                        .help("rename one of the two; feeds are shared by all files");
                    self.error(file, name.at, bad);
                    continue;
                }
                feeds.push(Feed {
                    name: name.value,
                    file: folder.join(path),
                    breadth,
                });
            }
        }
        feeds
    }

    /// Every set of every file.
    fn sets(
        &mut self,
        drafts: &mut [(File, PolicyDraft)],
        hosts: BTreeMap<String, ReadSet>,
    ) -> BTreeMap<String, ReadSet> {
        let mut sets = BTreeMap::<String, ReadSet>::new();
        for (file, draft) in drafts {
            for set in std::mem::take(&mut draft.sets) {
                let content = self.set_content(file, &set, &hosts);
                let SetDraft { name, .. } = set;
                match sets.entry(name.value) {
                    Entry::Vacant(slot) => {
                        slot.insert(ReadSet {
                            content: content.map(Into::into),
                            file: file.clone(),
                            at: name.at,
                        });
                    }
                    Entry::Occupied(first) => {
                        let bad = BadValue::new(format!(
                            "set \"{}\" is defined already, at {}",
                            first.key(),
                            place_text(&first.get().file, first.get().at)
                        ))
                        .help("rename one of the two; sets are shared by all files");
                        self.error(file, name.at, bad);
                    }
                }
            }
        }
        // A name has a dot, which the name of no set has.
        sets.extend(hosts);
        sets
    }

    fn set_content(
        &mut self,
        file: &File,
        set: &SetDraft,
        hosts: &BTreeMap<String, ReadSet>,
    ) -> Option<Vec<IpNetwork>> {
        let named = match set.content.as_ref()? {
            SetContent::Inline { networks, names } => {
                let of_name = |name: &Located<String>| hosts.get(&name.value)?.content.clone();
                let of_names = names.iter().filter_map(of_name);
                let of_names: Vec<IpNetwork> = of_names.flat_map(|of| of.to_vec()).collect();
                return Some([networks.as_slice(), &of_names].concat());
            }
            SetContent::File(named) => named,
            SetContent::Database(named, selector) => {
                return self.set_from_database(file, &set.name.value, named, selector);
            }
        };
        let folder = file.parent().unwrap_or(Path::new(""));
        let path = Arc::new(folder.join(&named.value));
        let problem = match self.read(&path, Purpose::Set) {
            Ok(Some(bytes)) => return sets::read_file(&path, &bytes, &mut self.problems),
            Ok(None) => "does not exist".to_owned(),
            Err(problem) => problem.to_string(),
        };
        let bad = BadValue::new(format!(
            "set \"{}\": {} {problem}",
            set.name.value,
            path.display()
        ))
        .help("create the file (it may be empty), or remove the set");
        self.error(file, named.at, bad);
        None
    }

    fn rule(
        &mut self,
        file: &File,
        index: usize,
        draft: RuleDraft,
        sets: &BTreeMap<String, ReadSet>,
    ) -> Option<Rule> {
        let errors_before = self.problems.error_count();
        let source = self.prefixes(file, draft.source, sets);
        let destination = self.prefixes(file, draft.destination, sets);
        if let Err(bad) = prefixes::check_families(&source, &destination) {
            self.error(file, draft.at, bad);
        }
        for name in source.sets.iter().chain(&destination.sets) {
            let set = sets.get(name).and_then(|set| set.content.as_ref());
            if set.is_some_and(|content| content.is_empty()) {
                let message = format!("set \"@{name}\" is empty and matches nothing");
                self.problems
                    .push(Diagnostic::warning(file.clone(), Some(draft.at), message));
            }
        }
        (self.problems.error_count() == errors_before).then(|| Rule {
            action: draft.action,
            traffic: draft.traffic,
            source,
            source_ports: draft.source_ports,
            destination,
            interface: draft.interface,
            until: draft.until,
            comment: draft.comment,
            labels: Labels {
                name: draft.name.map(|name| name.value),
                tags: draft.tags,
            },
            is_enabled: draft.is_enabled,
            origin: Some(RuleOrigin {
                file: file.clone(),
                line: draft.at.line,
                index,
            }),
        })
    }

    /// A name means one rule, in all files.
    fn rule_name(
        &mut self,
        file: &File,
        name: &Located<String>,
        names: &mut BTreeMap<String, (File, Position)>,
    ) {
        match names.entry(name.value.clone()) {
            Entry::Vacant(slot) => {
                slot.insert((file.clone(), name.at));
            }
            Entry::Occupied(first) => {
                let (earlier, place) = first.get();
                let bad = BadValue::new(format!(
                    "another rule is called \"{}\", at {}",
                    name.value,
                    place_text(earlier, *place)
                ))
                .help("rename one of the two; `tags` may be shared");
                self.error(file, name.at, bad);
            }
        }
    }

    /// Resolves the sets of a list of addresses.
    fn prefixes(
        &mut self,
        file: &File,
        items: Vec<Located<AddressItem>>,
        sets: &BTreeMap<String, ReadSet>,
    ) -> Prefixes {
        let mut list = PrefixList::default();
        for Located { value, at } in items {
            match value {
                // `any` empties the list of a rule; among never it would disarm the filter.
                AddressItem::Any => {
                    let bad = BadValue::new("never cannot hold \"any\": nothing could be banned")
                        .help("name the addresses that must never be banned");
                    self.error(file, at, bad);
                }
                AddressItem::Network(network) => list.add_network(network),
                // Those without a content were reported.
                AddressItem::Name(name) => {
                    let content = sets.get(&name).and_then(|set| set.content.as_ref());
                    list.add_set(name, content);
                }
                AddressItem::Set(name) => match sets.get(&name) {
                    Some(set) => list.add_set(name, set.content.as_ref()),
                    None if self.is_incomplete => {}
                    None => {
                        let known = sets.keys().map(String::as_str);
                        self.error(file, at, sets::unknown(&name, known));
                    }
                },
            }
        }
        list.finish()
    }

    pub(super) fn error(&mut self, file: &File, at: Position, bad: BadValue) {
        let problem = Diagnostic::error(file.clone(), Some(at), bad.message);
        self.problems.push(problem.with_help(bad.help));
    }
}

/// A set while files are read; `content` is missing when it was reported as wrong.
pub(super) struct ReadSet {
    pub(super) content: Option<Arc<[IpNetwork]>>,
    pub(super) file: File,
    pub(super) at: Position,
}

fn place_text(file: &Path, at: Position) -> String {
    format!("{}:{}:{}", file.display(), at.line, at.column)
}

/// Words a rule that can never match.
fn describe_shadow(
    found: &Shadow,
    rules: &[Rule],
    numbers: &[(usize, Position)],
) -> Option<Diagnostic> {
    let rule = rules.get(found.rule)?;
    let origin = rule.origin.as_ref()?;
    let (number, at) = numbers.get(found.rule)?;
    let name = describe::name(rule);
    let place = |index: usize| {
        let place = rules.get(index)?.origin.as_ref()?;
        let (number, _) = numbers.get(index)?;
        Some(if place.file == origin.file {
            (
                format!("rule {number} on line {}", place.line),
                format!("line {}", place.line),
            )
        } else {
            let text = format!("{}:{}", place.file.display(), place.line);
            (format!("rule {number} at {text}"), text)
        })
    };
    let covering: Vec<(String, String)> = found.by.iter().filter_map(|by| place(*by)).collect();
    let (_, first) = covering.first()?;
    let help = format!("move it above {first} or delete it");
    let texts: Vec<&str> = covering.iter().map(|(text, _)| text.as_str()).collect();
    let by = texts.join(" and ");
    let at = Some(*at);
    let problem = match found.certainty {
        Certainty::Always => Diagnostic::error(
            origin.file.clone(),
            at,
            format!("rule {number} {name} can never match: {by} covers it"),
        ),
        Certainty::WithTheseSets => Diagnostic::warning(
            origin.file.clone(),
            at,
            format!(
                "rule {number} {name} cannot match while the sets are as they are: {by} covers it"
            ),
        ),
        Certainty::Together => Diagnostic::warning(
            origin.file.clone(),
            at,
            format!("rule {number} {name} can never match: {by} cover it together"),
        ),
    };
    Some(problem.with_help(Some(help)))
}
