//! One policy file: TOML text to a [`PolicyDraft`] in which every value has its place. Names of sets are
//! not resolved here; they are shared by all files.

use std::{collections::BTreeMap, ops::Range, path::PathBuf, sync::Arc};

use ipnetwork::IpNetwork;
use serde_spanned::Spanned;
use toml::de::{DeTable, DeValue};

use super::{
    drop_log::DropLog,
    listen::Listen,
    mmdb::Selector,
    model::{DefaultAction, ModeChoice, PortRange, RuleAction, Traffic},
    names::Names,
    until::Until,
};
use crate::{
    bans::settings::Settings,
    text::{
        address::{self, AddressItem},
        diagnostic::{Diagnostic, Diagnostics, LineIndex, Position},
        value::{self, BadValue, quoted},
    },
};

mod bans;
mod databases;
mod keys;
mod limits;
mod log;
mod metrics;
mod modes;
mod rule;

pub(super) use bans::FeedDraft;
use keys::ROOT_KEYS;
use limits::Limits;

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Located<T> {
    pub(super) value: T,
    pub(super) at: Position,
}

/// What one file says.
#[derive(Debug, Default)]
pub(super) struct PolicyDraft {
    pub(super) interfaces: Option<Located<Vec<String>>>,
    pub(super) unguarded: Option<Located<Vec<String>>>,
    pub(super) modes: Option<Located<BTreeMap<String, ModeChoice>>>,
    pub(super) default: Option<Located<DefaultAction>>,
    pub(super) never: Vec<Located<AddressItem>>,
    pub(super) sets: Vec<SetDraft>,
    pub(super) bans: Option<Located<Settings>>,
    pub(super) feeds: Vec<FeedDraft>,
    pub(super) limits: Option<Located<Limits>>,
    pub(super) metrics: Option<Located<Listen>>,
    pub(super) log: Option<Located<Option<DropLog>>>,
    /// In order; `None` for a rule that cannot be used, so that the others keep their numbers.
    pub(super) rules: Vec<Option<RuleDraft>>,
}

/// A named set.
#[derive(Debug)]
pub(super) struct SetDraft {
    pub(super) name: Located<String>,
    /// `None` when the content cannot be used.
    pub(super) content: Option<SetContent>,
}

/// Where the prefixes of a set are.
#[derive(Debug)]
pub(super) enum SetContent {
    Inline {
        networks: Vec<IpNetwork>,
        /// Of hosts, whose addresses are in it, too.
        names: Vec<Located<String>>,
    },
    File(Located<String>),
    /// What the selector asks of a database.
    Database(Located<String>, Selector),
}

/// A rule whose sets are still names.
#[derive(Debug)]
pub(super) struct RuleDraft {
    pub(super) at: Position,
    pub(super) action: RuleAction,
    pub(super) traffic: Traffic,
    pub(super) source: Vec<Located<AddressItem>>,
    pub(super) source_ports: Vec<PortRange>,
    pub(super) destination: Vec<Located<AddressItem>>,
    pub(super) interface: Option<String>,
    pub(super) until: Option<Until>,
    pub(super) comment: Option<String>,
    pub(super) name: Option<Located<String>>,
    pub(super) tags: Vec<String>,
    pub(super) is_enabled: bool,
}

/// Longest line of a policy file.
const MAX_LINE_BYTES: usize = 64 * 1024;
/// Syntax errors reported per file; more are echoes of the first.
const MAX_SYNTAX_ERRORS: usize = 5;

/// Reads one file; `None` when it is no TOML at all.
pub(super) fn read(
    file: &Arc<PathBuf>,
    text: &str,
    names: &Names,
    problems: &mut Diagnostics,
) -> Option<PolicyDraft> {
    let mut reader = Reader {
        file,
        lines: LineIndex::new(text),
        names,
        problems,
    };
    if let Some(at) = long_line(text) {
        let bad = BadValue::new(format!("the line is longer than {MAX_LINE_BYTES} bytes"))
            .help("break the list over several lines, or put it into a set with a file");
        reader.error(at..at, bad);
        return None;
    }
    let (root, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return Some(reader.document(root.get_ref()));
    }
    for error in errors.iter().take(MAX_SYNTAX_ERRORS) {
        let at = error.span().unwrap_or(text.len()..text.len());
        let message = error.message().replace('\n', ", ");
        reader.error(at, keys::syntax_problem(&message));
    }
    None
}

/// Offset of the first line that is too long.
fn long_line(text: &str) -> Option<usize> {
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        if line.len() > MAX_LINE_BYTES {
            return Some(offset);
        }
        offset += line.len();
    }
    None
}

/// Turns spans into positions and problems into diagnostics.
struct Reader<'a, 't> {
    file: &'a Arc<PathBuf>,
    lines: LineIndex<'t>,
    names: &'a Names,
    problems: &'a mut Diagnostics,
}

type Value<'t> = Spanned<DeValue<'t>>;

impl Reader<'_, '_> {
    fn document(&mut self, root: &DeTable<'_>) -> PolicyDraft {
        let mut draft = PolicyDraft::default();
        for (key, value) in root.iter() {
            match key.get_ref().as_ref() {
                "interfaces" => draft.interfaces = self.interfaces(value),
                "unguarded" => draft.unguarded = self.interfaces(value),
                "xdp-mode" => draft.modes = self.modes(value),
                "default" => draft.default = self.default(value),
                "never" => draft.never = self.addresses(value).unwrap_or_default(),
                "sets" => draft.sets = self.sets(value),
                "bans" => draft.bans = self.bans(value),
                "feed" => draft.feeds = self.feeds(value),
                "limits" => draft.limits = self.limits(value),
                "metrics" => draft.metrics = self.metrics(value),
                "log" => draft.log = self.log(value),
                "rule" => draft.rules = self.rules(value),
                unknown => self.error(key.span(), keys::unknown_root(unknown)),
            }
        }
        draft
    }

    fn interfaces(&mut self, value: &Value<'_>) -> Option<Located<Vec<String>>> {
        let mut names = Vec::<String>::new();
        for (text, span) in self.strings(value, "interface names")? {
            match value::interface_name(text) {
                Ok(name) if names.contains(&name) => {
                    self.warning(span, format!("interface {} is listed twice", quoted(&name)));
                }
                Ok(name) => names.push(name),
                Err(bad) => self.error(span, bad),
            }
        }
        Some(self.located(names, value.span()))
    }

    fn default(&mut self, value: &Value<'_>) -> Option<Located<DefaultAction>> {
        let action = match self.string(value, "\"deny\", \"allow\" or \"monitor\"")? {
            "deny" => DefaultAction::Deny,
            "allow" => DefaultAction::Allow,
            "monitor" => DefaultAction::Monitor,
            other => {
                self.error(value.span(), keys::unknown_default(other));
                return None;
            }
        };
        Some(self.located(action, value.span()))
    }

    fn sets(&mut self, value: &Value<'_>) -> Vec<SetDraft> {
        let DeValue::Table(table) = value.get_ref() else {
            self.wrong_type(value, "a table, [sets]");
            return Vec::new();
        };
        let mut sets = Vec::new();
        for (key, content) in table.iter() {
            let name = match value::set_name(key.get_ref()) {
                Ok(name) => self.located(name, key.span()),
                Err(bad) => {
                    self.error(key.span(), bad);
                    continue;
                }
            };
            let is_misplaced = ROOT_KEYS.contains(&name.value.as_str())
                && !keys::HEADED.contains(&name.value.as_str());
            let content = if is_misplaced {
                self.error(key.span(), keys::misplaced(&name.value, "[sets]"));
                None
            } else {
                self.set_content(content)
            };
            sets.push(SetDraft { name, content });
        }
        sets
    }

    fn set_content(&mut self, value: &Value<'_>) -> Option<SetContent> {
        if let DeValue::Table(table) = value.get_ref() {
            return self.set_file(table, value.span());
        }
        let mut is_whole = true;
        let (mut networks, mut names) = (Vec::new(), Vec::new());
        for (text, span) in self.strings(value, "prefixes, or { file = \"…\" }")? {
            if text.starts_with('@') {
                let bad = BadValue::new(format!("a set cannot contain the set {}", quoted(text)))
                    .help("name both sets in the rule: from = [\"@one\", \"@two\"]");
                self.error(span, bad);
                is_whole = false;
                continue;
            }
            if let Ok((AddressItem::Name(name), _)) = address::parse_item(text) {
                names.push(self.located(name, span));
                continue;
            }
            match address::parse_network(text) {
                Ok((network, note)) => {
                    self.note(span, note);
                    networks.push(network);
                }
                Err(bad) => {
                    self.error(span, bad);
                    is_whole = false;
                }
            }
        }
        is_whole.then_some(SetContent::Inline { networks, names })
    }

    fn set_file(&mut self, table: &DeTable<'_>, whole: Range<usize>) -> Option<SetContent> {
        if databases::is_meant(table) {
            return self.set_database(table, whole);
        }
        let mut path = None;
        for (key, value) in table.iter() {
            if key.get_ref() == "file" {
                let text = self.string(value, "the name of a file")?;
                path = Some(self.located(text.to_owned(), value.span()));
            } else {
                self.error(key.span(), keys::unknown_in_set(key.get_ref()));
            }
        }
        if path.as_ref().is_none_or(|path| path.value.is_empty()) {
            let bad =
                BadValue::new("the set names no file").help("write { file = \"feeds/x.txt\" }");
            self.error(whole, bad);
            return None;
        }
        path.map(SetContent::File)
    }

    /// A list of addresses, or a single one; `None` (after an error) for anything else.
    fn addresses(&mut self, value: &Value<'_>) -> Option<Vec<Located<AddressItem>>> {
        let mut is_whole = true;
        let mut items = Vec::new();
        for (text, span) in
            self.strings(value, "an address, a prefix, \"@set\" or a list of them")?
        {
            match address::parse_item(text) {
                Ok((item, note)) => {
                    self.note(span.clone(), note);
                    items.push(self.located(item, span));
                }
                Err(bad) => {
                    self.error(span, bad);
                    is_whole = false;
                }
            }
        }
        is_whole.then_some(items)
    }

    /// The strings of a list, or the one string that stands for a list of one.
    fn strings<'v>(
        &mut self,
        value: &'v Value<'_>,
        expected: &str,
    ) -> Option<Vec<(&'v str, Range<usize>)>> {
        match value.get_ref() {
            DeValue::String(text) => Some(vec![(text.as_ref(), value.span())]),
            DeValue::Array(array) => {
                let mut texts = Vec::with_capacity(array.len());
                for element in array.iter() {
                    if let DeValue::String(text) = element.get_ref() {
                        texts.push((text.as_ref(), element.span()));
                    } else {
                        self.wrong_type(element, "a text in quotes");
                    }
                }
                // An element of the wrong type was reported; a shorter list would mean less.
                (texts.len() == array.len()).then_some(texts)
            }
            DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Table(_) => {
                self.wrong_type(value, expected);
                None
            }
        }
    }

    fn string<'v>(&mut self, value: &'v Value<'_>, expected: &str) -> Option<&'v str> {
        if let DeValue::String(text) = value.get_ref() {
            return Some(text.as_ref());
        }
        self.wrong_type(value, expected);
        None
    }

    fn wrong_type(&mut self, value: &Value<'_>, expected: &str) {
        let found = value.get_ref().type_str();
        let bad = BadValue::new(format!("expected {expected}, found {found}"));
        self.error(value.span(), bad);
    }

    fn located<T>(&self, value: T, span: Range<usize>) -> Located<T> {
        Located {
            value,
            at: self.lines.position(span.start),
        }
    }

    fn note(&mut self, span: Range<usize>, note: Option<String>) {
        if let Some(note) = note {
            self.warning(span, note);
        }
    }

    fn warning(&mut self, span: Range<usize>, message: String) {
        let at = self.lines.position(span.start);
        self.problems
            .push(Diagnostic::warning(self.file.clone(), Some(at), message));
    }

    fn error(&mut self, span: Range<usize>, bad: BadValue) {
        let at = self.lines.position(span.start);
        let problem = Diagnostic::error(self.file.clone(), Some(at), bad.message);
        self.problems.push(problem.with_help(bad.help));
    }
}
