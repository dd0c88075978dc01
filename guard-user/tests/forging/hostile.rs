//! What a client writes who wants somebody else banned: pieces of the daemon's own lines with the victim's address
//! in them, between whatever could end a field.

use crate::{
    daemons::{Daemon, VICTIMS},
    random::Random,
};

/// What could end a field, a line, or the sight of whoever reads it.
const DELIMITERS: &[&str] = &[
    "",
    "",
    "",
    " ",
    "x",
    "x ",
    "\"",
    "\" ",
    "'",
    "' ",
    "`",
    "<",
    ">",
    ">,",
    ">, ",
    "(",
    ")",
    "): ",
    "[",
    "]",
    "] ",
    "{",
    "}",
    ":",
    ": ",
    ";",
    "; ",
    ",",
    ", ",
    "=",
    "\\",
    "\\n",
    "\\\"",
    "\\x22",
    "#012",
    "%0a",
    "%",
    "$",
    "^",
    "|",
    "\n",
    "\r\n",
    "\r",
    "\n\n",
    "\t",
    "\0",
    "\u{1b}[2K",
    "\u{7f}",
    "ü",
    "\u{a0}",
    "\u{2028}",
    "\u{85}",
    "\u{202e}",
    "\u{fffd}",
    "-",
    " - ",
    "[] ",
    "[preauth]",
    " [preauth]",
    "\"[] ",
    "root",
    "/",
    "//",
    "::",
    "0.0.0.0",
];
/// Texts for one field.
const TEXTS: usize = 600;

/// The same texts for the same field in every run.
pub(crate) fn texts(daemon: &Daemon, seed: u64) -> Vec<String> {
    let mut random = Random::seeded(seed);
    let whole: Vec<String> = daemon
        .lines
        .iter()
        .filter(|line| line.contains("{addr}"))
        .flat_map(|line| VICTIMS.iter().map(|victim| daemon.benign(line, victim)))
        .collect();
    let copied: Vec<&str> = whole.iter().map(String::as_str).collect();
    let mut texts: Vec<String> = VICTIMS.iter().map(|victim| (*victim).to_owned()).collect();
    while texts.len() < TEXTS {
        let line = random.of(&copied);
        let piece = piece(line, &mut random);
        let mut text = String::new();
        text.push_str(random.of(DELIMITERS));
        text.push_str(random.of(DELIMITERS));
        text.push_str(piece);
        text.push_str(random.of(DELIMITERS));
        text.push_str(random.of(DELIMITERS));
        if random.below(4) == 0 {
            // Twice: whoever takes the last one is as wrong as who takes the first.
            text.push_str(random.of(DELIMITERS));
            let other = random.of(&copied);
            text.push_str(self::piece(other, &mut random));
            text.push_str(random.of(DELIMITERS));
        }
        texts.push(text);
    }
    texts
}

/// A part of a line around the victim's address, cut where words begin and end.
fn piece<'l>(line: &'l str, random: &mut Random) -> &'l str {
    let victim = VICTIMS.iter().find(|victim| line.contains(**victim));
    let victim = victim.expect("every line names its victim");
    let at = line.find(victim).expect("found above");
    let end = at + victim.len();
    let is_cut = |byte: u8| !byte.is_ascii_alphanumeric();
    let mut starts: Vec<usize> = vec![0, at];
    starts.extend(
        (1..at)
            .filter(|place| is_cut(line.as_bytes()[place - 1]) || is_cut(line.as_bytes()[*place])),
    );
    let mut ends: Vec<usize> = vec![end, line.len()];
    ends.extend(
        (end + 1..line.len())
            .filter(|place| is_cut(line.as_bytes()[place - 1]) || is_cut(line.as_bytes()[*place])),
    );
    // Half of the time the whole of one side.
    let start = if random.below(3) == 0 {
        0
    } else {
        random.of(&starts)
    };
    let stop = if random.below(3) == 0 {
        line.len()
    } else {
        random.of(&ends)
    };
    if line.is_char_boundary(start) && line.is_char_boundary(stop) {
        &line[start..stop]
    } else {
        line
    }
}
