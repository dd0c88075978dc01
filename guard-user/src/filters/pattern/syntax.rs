//! Python's regular expressions, read into a tree: what its syntax means, free of how Rust's engines
//! write it. Refuses what cannot mean the same there.

use super::{
    error::{PatternError, SyntaxError},
    tags::HostTag,
};

/// Groups within groups; deeper ones are no filter but an attack on the reader.
const MAX_DEPTH: usize = 100;

/// A pattern, or a part of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Node {
    /// Something that is written in Rust as it stands here.
    Plain(String),
    /// A position: `^`, `$`, `\b` …, as Rust writes it.
    Position(&'static str),
    /// An address.
    Host(HostTag),
    /// One after the other.
    Row(Vec<Node>),
    /// One of them, the first that fits.
    Choice(Vec<Node>),
    /// `(…)`, `(?P<name>…)`.
    Capture {
        name: Option<String>,
        inner: Box<Node>,
    },
    /// `(?:…)`, `(?i:…)`: the flags.
    Group { flags: String, inner: Box<Node> },
    /// `(?i)`.
    Flags(String),
    /// `*`, `+?`, `{1,3}`.
    Repeat {
        inner: Box<Node>,
        count: String,
        is_possessive: bool,
    },
    /// `(?=…)`, `(?<!…)`: how it opens.
    Look {
        open: &'static str,
        inner: Box<Node>,
    },
    /// `(?>…)`.
    Atomic(Box<Node>),
    /// What a group matched, again.
    Again(String),
    /// `(?(name)…|…)`.
    If {
        group: String,
        yes: Box<Node>,
        no: Box<Node>,
    },
}

/// Reads a pattern whose tags are resolved.
///
/// # Errors
/// What is wrong and at which character, counted from 1.
pub(super) fn parse(text: &str) -> Result<Node, PatternError> {
    let mut parser = Parser {
        letters: text.chars().collect(),
        at: 0,
        depth: 0,
    };
    let node = parser.choice()?;
    match parser.peek() {
        None => Ok(node),
        Some(_) => Err(parser.wrong(SyntaxError::StrayParenthesis)),
    }
}

struct Parser {
    letters: Vec<char>,
    at: usize,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> Option<char> {
        self.letters.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let letter = self.peek();
        self.at += usize::from(letter.is_some());
        letter
    }

    fn eat(&mut self, text: &str) -> bool {
        let is_there = text
            .chars()
            .enumerate()
            .all(|(index, letter)| self.letters.get(self.at + index) == Some(&letter));
        if is_there {
            self.at += text.chars().count();
        }
        is_there
    }

    fn wrong(&self, what: SyntaxError) -> PatternError {
        let at = self.at + 1;
        PatternError::Syntax { what, at }
    }

    fn choice(&mut self) -> Result<Node, PatternError> {
        let mut branches = vec![self.row()?];
        while self.eat("|") {
            branches.push(self.row()?);
        }
        Ok(one_or(branches, Node::Choice))
    }

    fn row(&mut self) -> Result<Node, PatternError> {
        let mut row: Vec<Node> = Vec::new();
        while let Some(letter) = self.peek() {
            if matches!(letter, '|' | ')') {
                break;
            }
            if let Some(count) = self.count() {
                let Some(inner) = row.pop() else {
                    return Err(self.wrong(SyntaxError::NothingToRepeat));
                };
                let is_repeated = matches!(inner, Node::Repeat { .. } | Node::Flags(_));
                if is_repeated {
                    return Err(self.wrong(SyntaxError::RepeatedRepetition));
                }
                let (count, is_possessive) = self.manner(count);
                row.push(Node::Repeat {
                    inner: Box::new(inner),
                    count,
                    is_possessive,
                });
                continue;
            }
            row.push(self.atom()?);
        }
        Ok(one_or(row, Node::Row))
    }

    /// `*`, `+`, `?`, `{2,3}`; a brace that is no count is a plain brace.
    fn count(&mut self) -> Option<String> {
        let letter = self.peek()?;
        if matches!(letter, '*' | '+' | '?') {
            self.at += 1;
            return Some(letter.to_string());
        }
        if letter != '{' {
            return None;
        }
        let close = self.letters[self.at..].iter().position(|l| *l == '}')?;
        let inner: String = self.letters[self.at + 1..self.at + close].iter().collect();
        let (low, high) = match inner.split_once(',') {
            Some((low, high)) => (low, Some(high)),
            None => (inner.as_str(), None),
        };
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if inner.is_empty() || !is_number(low) || !high.is_none_or(is_number) {
            return None;
        }
        self.at += close + 1;
        let low = if low.is_empty() { "0" } else { low };
        Some(match high {
            Some(high) => format!("{{{low},{high}}}"),
            None => format!("{{{low}}}"),
        })
    }

    fn manner(&mut self, count: String) -> (String, bool) {
        if self.eat("?") {
            (format!("{count}?"), false)
        } else {
            let is_possessive = self.eat("+");
            (count, is_possessive)
        }
    }

    fn atom(&mut self) -> Result<Node, PatternError> {
        let Some(letter) = self.next() else {
            return Err(self.wrong(SyntaxError::Unfinished));
        };
        if let Some(host) = HostTag::of_symbol(letter) {
            return Ok(Node::Host(host));
        }
        Ok(match letter {
            '(' => return self.group(),
            '[' => return self.class(),
            '\\' => return self.escape(),
            '^' => Node::Position("^"),
            '$' => Node::Position("$"),
            '.' => Node::Plain(".".to_owned()),
            _ => Node::Plain(literal(letter)),
        })
    }

    fn group(&mut self) -> Result<Node, PatternError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.wrong(SyntaxError::TooDeep));
        }
        let node = self.opened_group()?;
        self.depth -= 1;
        Ok(node)
    }

    fn opened_group(&mut self) -> Result<Node, PatternError> {
        if !self.eat("?") {
            // `((?i)x)` is how Python before 3.6 wrote `(?i:x)`, and fail2ban reads it so.
            if let Some(flags) = self.inner_flags() {
                let inner = Box::new(self.closed()?);
                return Ok(Node::Group { flags, inner });
            }
            let inner = Box::new(self.closed()?);
            return Ok(Node::Capture { name: None, inner });
        }
        for (open, text) in [("(?=", "="), ("(?!", "!"), ("(?<=", "<="), ("(?<!", "<!")] {
            if self.eat(text) {
                let inner = Box::new(self.closed()?);
                return Ok(Node::Look { open, inner });
            }
        }
        if self.eat("P=") {
            let name = self.until(')')?;
            return Ok(Node::Again(name));
        }
        if self.eat("P<") || self.eat("<") {
            let name = self.until('>')?;
            let is_name = name
                .chars()
                .all(|letter| letter.is_alphanumeric() || letter == '_')
                && !name.starts_with(|letter: char| letter.is_ascii_digit())
                && !name.is_empty();
            if !is_name {
                return Err(self.wrong(SyntaxError::GroupName(name)));
            }
            let inner = Box::new(self.closed()?);
            return Ok(Node::Capture {
                name: Some(name),
                inner,
            });
        }
        if self.eat(">") {
            return Ok(Node::Atomic(Box::new(self.closed()?)));
        }
        if self.eat("#") {
            self.until(')')?;
            return Ok(Node::Row(Vec::new()));
        }
        if self.eat("(") {
            let group = self.until(')')?;
            let inner = self.closed()?;
            let (yes, no) = if let Node::Choice(mut branches) = inner {
                if branches.len() > 2 {
                    return Err(self.wrong(SyntaxError::ThreeBranches));
                }
                let no = branches.pop().unwrap_or(Node::Row(Vec::new()));
                (one_or(branches, Node::Choice), no)
            } else {
                (inner, Node::Row(Vec::new()))
            };
            let (yes, no) = (Box::new(yes), Box::new(no));
            return Ok(Node::If { group, yes, no });
        }
        let flags = self.flag_letters()?;
        if self.eat(")") {
            return Ok(Node::Flags(flags));
        }
        if !self.eat(":") {
            return Err(self.wrong(SyntaxError::GroupKind));
        }
        if flags.is_empty()
            && let Some(flags) = self.inner_flags()
        {
            let inner = Box::new(self.closed()?);
            return Ok(Node::Group { flags, inner });
        }
        let inner = Box::new(self.closed()?);
        Ok(Node::Group { flags, inner })
    }

    /// `(?i)` right behind an opening parenthesis.
    fn inner_flags(&mut self) -> Option<String> {
        let before = self.at;
        if self.eat("(?")
            && let Ok(flags) = self.flag_letters()
            && !flags.is_empty()
            && self.eat(")")
        {
            return Some(flags);
        }
        self.at = before;
        None
    }

    fn flag_letters(&mut self) -> Result<String, PatternError> {
        let mut flags = String::new();
        while let Some(letter) = self.peek() {
            match letter {
                'i' | 'm' | 's' | 'x' | '-' => flags.push(letter),
                // Text is always Unicode, and has no locale.
                'u' | 'L' | 'a' => {}
                ')' | ':' => return Ok(flags),
                _ => return Err(self.wrong(SyntaxError::GroupKind)),
            }
            self.at += 1;
        }
        Err(self.wrong(SyntaxError::OpenParenthesis))
    }

    fn closed(&mut self) -> Result<Node, PatternError> {
        let inner = self.choice()?;
        if self.eat(")") {
            Ok(inner)
        } else {
            Err(self.wrong(SyntaxError::OpenParenthesis))
        }
    }

    fn until(&mut self, end: char) -> Result<String, PatternError> {
        let mut text = String::new();
        while let Some(letter) = self.next() {
            if letter == end {
                return Ok(text);
            }
            text.push(letter);
        }
        Err(self.wrong(SyntaxError::Missing(end)))
    }

    fn escape(&mut self) -> Result<Node, PatternError> {
        let Some(letter) = self.next() else {
            return Err(self.wrong(SyntaxError::LoneBackslash));
        };
        Ok(match letter {
            'A' => Node::Position(r"\A"),
            'Z' => Node::Position(r"\z"),
            'b' => Node::Position(r"\b"),
            'B' => Node::Position(r"\B"),
            '1'..='9' => {
                let mut number = letter.to_string();
                if let Some(digit) = self.peek().filter(char::is_ascii_digit) {
                    number.push(digit);
                    self.at += 1;
                }
                Node::Again(number)
            }
            _ => Node::Plain(self.escaped(letter)?),
        })
    }

    /// An escape that means the same inside and outside of brackets.
    fn escaped(&mut self, letter: char) -> Result<String, PatternError> {
        Ok(match letter {
            'd' | 'D' | 's' | 'S' | 'w' | 'W' | 'n' | 'r' | 't' | 'f' | 'v' | 'a' => {
                format!("\\{letter}")
            }
            'x' => self.hexadecimal(2)?,
            'u' => self.hexadecimal(4)?,
            'U' => self.hexadecimal(8)?,
            '0' => literal('\0'),
            _ if letter.is_ascii_alphanumeric() => {
                return Err(self.wrong(SyntaxError::Escape(letter)));
            }
            _ => literal(letter),
        })
    }

    fn hexadecimal(&mut self, digits: usize) -> Result<String, PatternError> {
        let end = (self.at + digits).min(self.letters.len());
        let text: String = self.letters[self.at..end].iter().collect();
        let letter = u32::from_str_radix(&text, 16).ok().and_then(char::from_u32);
        let Some(letter) = letter.filter(|_| text.len() == digits) else {
            return Err(self.wrong(SyntaxError::CharacterNumber(text)));
        };
        self.at = end;
        Ok(literal(letter))
    }

    /// `[…]`; a `[` inside is a plain one, as are `&&`, `--` and `~~`.
    fn class(&mut self) -> Result<Node, PatternError> {
        let mut text = String::from("[");
        if self.eat("^") {
            text.push('^');
        }
        let mut is_first = true;
        loop {
            let Some(letter) = self.next() else {
                return Err(self.wrong(SyntaxError::OpenBracket));
            };
            match letter {
                ']' if !is_first => break,
                '\\' => {
                    let Some(escaped) = self.next() else {
                        return Err(self.wrong(SyntaxError::LoneBackslash));
                    };
                    if escaped == 'b' {
                        text.push_str(r"\x08");
                    } else {
                        text.push_str(&self.escaped(escaped)?);
                    }
                }
                '-' => {
                    let is_last = self.peek() == Some(']');
                    text.push_str(if is_first || is_last { r"\-" } else { "-" });
                }
                _ if HostTag::of_symbol(letter).is_some() => {
                    return Err(self.wrong(SyntaxError::TagInBrackets));
                }
                _ => text.push_str(&literal(letter)),
            }
            is_first = false;
        }
        text.push(']');
        Ok(Node::Plain(text))
    }
}

fn one_or(mut nodes: Vec<Node>, many: fn(Vec<Node>) -> Node) -> Node {
    match nodes.len() {
        1 => nodes.remove(0),
        _ => many(nodes),
    }
}

/// A character that stands for itself, inside and outside of brackets.
fn literal(letter: char) -> String {
    if letter == '\0' {
        r"\x00".to_owned()
    } else if r"\.+*?()|[]{}^$#&-~".contains(letter) {
        format!("\\{letter}")
    } else {
        letter.to_string()
    }
}
