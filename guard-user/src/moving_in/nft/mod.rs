//! Rules of nftables, as `nft list ruleset` writes them: base chains on the way in, their chains and sets. Other hooks are
//! listed; a file that includes others, or builds its rules by commands, is refused, because what it means stands elsewhere.

mod import;
mod rule;
mod tokens;
mod values;

use std::{collections::BTreeMap, sync::Arc};

use super::{
    chains::{Firewall, Remark, SourceLine, Stage},
    condition::Condition,
};
use crate::{
    failure::{Exit, Failure},
    text::value::quoted,
};
use tokens::{Token, tokens};
use values::Sets;

pub use import::{is_here, rules};

/// Most words that a definition may become.
const MOST_WORDS: usize = 1 << 20;

/// Reads a ruleset.
///
/// # Errors
/// For what is none, with its line.
pub fn read(
    file: &Arc<str>,
    text: &str,
    firewall: &mut Firewall,
    left: &mut Vec<Remark>,
) -> Result<(), Failure> {
    let tokens = with_definitions(file, tokens(file, text)?)?;
    let mut reading = Reading {
        file: file.clone(),
        tokens: &tokens,
        next: 0,
        firewall,
        left,
        stages: Vec::new(),
    };
    reading.ruleset()?;
    let mut stages = std::mem::take(&mut reading.stages);
    stages.sort_by_key(|(order, _)| *order);
    firewall
        .stages
        .extend(stages.into_iter().map(|(_, stage)| stage));
    Ok(())
}

struct Reading<'r> {
    file: Arc<str>,
    tokens: &'r [Token],
    next: usize,
    firewall: &'r mut Firewall,
    left: &'r mut Vec<Remark>,
    /// With the order in which packets go through them.
    stages: Vec<((usize, i64), Stage)>,
}

/// A table under construction.
struct Table {
    family: String,
    /// Before the names of its chains.
    prefix: String,
    packets: Option<Condition>,
    sets: Sets,
}

/// `define NAME = WORDS`, put in for `$NAME`.
fn with_definitions(file: &str, tokens: Vec<Token>) -> Result<Vec<Token>, Failure> {
    let mut known: BTreeMap<String, Vec<Token>> = BTreeMap::new();
    let mut out: Vec<Token> = Vec::with_capacity(tokens.len());
    let mut rest = tokens.into_iter().peekable();
    while let Some(token) = rest.next() {
        let wrong = |what: &str| wrong(file, token.line, what, &token.text);
        if token.is("define") {
            let name = rest.next().map(|token| token.text).unwrap_or_default();
            if !rest.next().is_some_and(|token| token.is("=")) {
                return Err(wrong("a definition without a value"));
            }
            let mut words = Vec::new();
            let mut depth = 0usize;
            while let Some(next) = rest.next_if(|next| depth > 0 || !next.ends_statement()) {
                depth += usize::from(next.is("{"));
                depth = depth.saturating_sub(usize::from(next.is("}")));
                match next.text.strip_prefix('$').filter(|_| !next.is_quoted) {
                    Some(name) => words.extend(known.get(name).into_iter().flatten().cloned()),
                    None => words.push(next),
                }
                if words.len() > MOST_WORDS {
                    return Err(wrong("a definition of endless length"));
                }
            }
            known.insert(name, words);
        } else if let Some(name) = token.text.strip_prefix('$').filter(|_| !token.is_quoted) {
            let Some(words) = known.get(name) else {
                return Err(wrong("a name that is not defined"));
            };
            out.extend(words.iter().cloned().map(|word| Token {
                line: token.line,
                ..word
            }));
            if out.len() > MOST_WORDS {
                return Err(wrong("definitions of endless length"));
            }
        } else {
            out.push(token);
        }
    }
    Ok(out)
}

fn wrong(file: &str, line: usize, what: &str, shown: &str) -> Failure {
    Failure::new(
        Exit::BadConfiguration,
        format!("{file}:{line}: {what}: {}", quoted(shown)),
    )
    .help("load it, and give what `nft list ruleset` says with --from")
}

impl Reading<'_> {
    fn take(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.next)?.clone();
        self.next += 1;
        Some(token)
    }

    fn fail(&self, token: &Token, what: &str) -> Failure {
        wrong(&self.file, token.line, what, &token.text)
    }

    fn place(&self, line: usize) -> SourceLine {
        SourceLine {
            file: self.file.clone(),
            line,
        }
    }

    /// The words up to the end of the statement; braces hold ends of lines together.
    fn statement(&mut self) -> Vec<Token> {
        let mut words = Vec::new();
        let mut depth = 0usize;
        while let Some(token) = self.tokens.get(self.next) {
            if depth == 0 && (token.ends_statement() || token.is("}")) {
                break;
            }
            depth += usize::from(token.is("{"));
            depth = depth.saturating_sub(usize::from(token.is("}")));
            words.push(token.clone());
            self.next += 1;
        }
        words
    }

    fn ruleset(&mut self) -> Result<(), Failure> {
        while let Some(token) = self.take() {
            match token.text.as_str() {
                _ if token.ends_statement() => {}
                "table" => {
                    let head = self.head()?;
                    self.table(&head)?;
                }
                // What was there before is gone, or is what this text says.
                "flush" | "destroy" => drop(self.statement()),
                "delete" | "add" | "create"
                    if self
                        .tokens
                        .get(self.next)
                        .is_some_and(|next| next.is("table"))
                        && !self.statement().iter().any(|word| word.is("{")) => {}
                "include" => return Err(self.fail(&token, "another file is included")),
                _ => return Err(self.fail(&token, "this is no table")),
            }
        }
        Ok(())
    }

    /// The words before `{`.
    fn head(&mut self) -> Result<Vec<Token>, Failure> {
        let mut words = Vec::new();
        while let Some(token) = self.take() {
            if token.is("{") {
                return Ok(words);
            }
            if token.ends_statement() {
                // `table inet filter` alone makes an empty one.
                if words.len() <= 2 {
                    return Ok(words);
                }
                return Err(self.fail(&token, "a line without its block"));
            }
            words.push(token);
        }
        let nothing = Token {
            text: String::new(),
            line: self.tokens.last().map_or(0, |token| token.line),
            is_quoted: false,
        };
        Err(self.fail(
            &nothing,
            "the text ends in the middle of a block: it was cut off",
        ))
    }

    fn table(&mut self, head: &[Token]) -> Result<(), Failure> {
        let is_block = self
            .tokens
            .get(self.next.saturating_sub(1))
            .is_some_and(|token| token.is("{"));
        if !is_block {
            return Ok(());
        }
        let (family, name) = match head {
            [name] => ("ip", name.text.as_str()),
            [family, name] => (family.text.as_str(), name.text.as_str()),
            _ => {
                let first = self.tokens[self.next - 1].clone();
                return Err(self.fail(&first, "a table without a name"));
            }
        };
        let packets = match family {
            "ip" => Some(Condition::of_family(true)),
            "ip6" => Some(Condition::of_family(false)),
            "inet" | "netdev" => Some(Condition::default()),
            _ => None,
        };
        let mut table = Table {
            family: family.to_owned(),
            prefix: format!("{family} {name}"),
            packets,
            sets: Sets::new(),
        };
        // Rules may name sets that stand behind them.
        let begin = self.next;
        self.body(&mut table, Pass::Sets)?;
        self.next = begin;
        self.body(&mut table, Pass::Chains)
    }

    fn body(&mut self, table: &mut Table, pass: Pass) -> Result<(), Failure> {
        loop {
            let Some(token) = self.take() else {
                self.head()?;
                return Ok(());
            };
            match token.text.as_str() {
                _ if token.ends_statement() => {}
                "}" => return Ok(()),
                "chain" | "set" | "map" => {
                    let head = self.head()?;
                    let name = head
                        .first()
                        .map(|name| name.text.clone())
                        .unwrap_or_default();
                    match (token.text.as_str(), pass) {
                        ("chain", Pass::Chains) => self.chain(table, &name)?,
                        ("set", Pass::Sets) => {
                            let elements = self.set()?;
                            table.sets.insert(name, elements);
                        }
                        _ => self.skip_block()?,
                    }
                }
                "flags" | "comment" => {
                    let words = self.statement();
                    if words.iter().any(|word| word.is("dormant")) {
                        table.packets = None;
                    }
                }
                _ => {
                    // Counters, limits, helpers: named things that rules refer to.
                    self.head()?;
                    self.skip_block()?;
                }
            }
        }
    }

    /// To the brace that closes this block.
    fn skip_block(&mut self) -> Result<(), Failure> {
        let mut depth = 1usize;
        while depth > 0 {
            match self.take() {
                Some(token) => {
                    depth += usize::from(token.is("{"));
                    depth -= usize::from(token.is("}"));
                }
                None => {
                    self.head()?;
                }
            }
        }
        Ok(())
    }

    /// The elements of a set; `None` where they change by themselves, or are made of several things.
    fn set(&mut self) -> Result<Option<Vec<String>>, Failure> {
        let mut elements = Vec::new();
        let mut is_plain = true;
        loop {
            let Some(token) = self.take() else {
                self.head()?;
                continue;
            };
            match token.text.as_str() {
                _ if token.ends_statement() => {}
                "}" => return Ok(is_plain.then_some(elements)),
                "elements" => {
                    let words = self.statement();
                    let mut is_first = true;
                    for word in &words {
                        if word.is("{") || word.is(",") {
                            is_first = true;
                        } else if is_first && !["=", "}", "\n"].iter().any(|mark| word.is(mark)) {
                            elements.push(word.text.clone());
                            is_first = false;
                        } else if word.is(".") {
                            is_plain = false;
                        }
                    }
                }
                _ => {
                    let words = self.statement();
                    let changes = ["dynamic", "timeout"];
                    let is_of_time = token.is("timeout")
                        || words
                            .iter()
                            .any(|word| changes.iter().any(|flag| word.is(flag)));
                    is_plain &= !is_of_time;
                }
            }
        }
    }

    fn chain(&mut self, table: &Table, name: &str) -> Result<(), Failure> {
        let key = |name: &str| format!("{}/{name}", table.prefix);
        let mut rules = Vec::new();
        let mut base: Option<Vec<Token>> = None;
        let (mut accepts, mut first_line) = (true, 0);
        loop {
            let Some(token) = self.tokens.get(self.next).cloned() else {
                self.head()?;
                continue;
            };
            if token.ends_statement() {
                self.next += 1;
                continue;
            }
            if token.is("}") {
                self.next += 1;
                break;
            }
            let words = self.statement();
            if token.is("type") {
                base = Some(words);
                first_line = token.line;
                continue;
            }
            if token.is("policy") {
                accepts = !words.iter().any(|word| word.is("drop"));
                continue;
            }
            if token.is("comment") {
                continue;
            }
            let place = self.place(token.line);
            if let Some(packets) = &table.packets {
                let mut made = rule::read(&place, &words, &table.sets, packets);
                for rule in &mut made {
                    use super::chains::Target;
                    if let Target::Jump(to) | Target::Goto(to) = &mut rule.target {
                        *to = key(to);
                    }
                }
                rules.extend(made);
            }
        }
        let count = rules.len();
        self.firewall.chains.insert(key(name), rules);
        if let Some(words) = base {
            self.base_chain(table, &key(name), &words, accepts, (first_line, count));
        }
        Ok(())
    }

    /// A chain that the kernel calls.
    fn base_chain(
        &mut self,
        table: &Table,
        chain: &str,
        words: &[Token],
        accepts: bool,
        (line, count): (usize, usize),
    ) {
        let behind = |keyword: &str| {
            let at = words.iter().position(|word| word.is(keyword))?;
            words.get(at + 1).map(|word| word.text.clone())
        };
        let hook = behind("hook").unwrap_or_default();
        let is_filter = behind("type").is_some_and(|kind| kind == "filter");
        let order = match (table.family.as_str(), hook.as_str()) {
            ("netdev" | "inet", "ingress") => Some(0),
            ("ip" | "ip6" | "inet", "prerouting") => Some(1),
            ("ip" | "ip6" | "inet", "input") => Some(2),
            _ => None,
        };
        if let (Some(order), Some(packets), true) = (order, &table.packets, is_filter) {
            let mut when = packets.clone();
            if order == 0 {
                when.interface = behind("device");
            }
            let stage = Stage {
                chain: chain.to_owned(),
                accepts,
                when,
            };
            self.stages.push(((order, priority(words)), stage));
        } else if count > 0 {
            let remark = Remark::new(
                &self.place(line),
                format!("{chain}: guard has no rules of hook {hook}, and translates no addresses"),
            );
            let remark = remark.help("keep this table: it goes on acting");
            self.left.push(remark);
        }
    }
}

/// Which part of a table is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pass {
    Sets,
    Chains,
}

/// `priority filter - 5`.
fn priority(words: &[Token]) -> i64 {
    let Some(at) = words.iter().position(|word| word.is("priority")) else {
        return 0;
    };
    let mut sum = 0;
    let mut sign = 1;
    for word in &words[at + 1..] {
        match word.text.as_str() {
            "raw" => sum -= 300,
            "mangle" => sum -= 150,
            "dstnat" => sum -= 100,
            "filter" => {}
            "security" => sum += 50,
            "srcnat" => sum += 100,
            "+" => sign = 1,
            "-" => sign = -1,
            text => match text.parse::<i32>() {
                Ok(number) => sum += sign * i64::from(number),
                Err(_) => return sum,
            },
        }
    }
    sum
}

#[cfg(test)]
mod tests;
