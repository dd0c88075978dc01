//! Words of documents: the spell checker `typos` where it is installed, and a short list of our own everywhere,
//! so that a clean machine checks without building a program first.

use anyhow::Result;

use super::{Finding, Source};
use crate::sh;

/// Misspellings that people make, and words that only this project once used.
const WORDS: &[(&str, &str)] = &[
    ("accross", "across"),
    ("adress", "address"),
    ("agressive", "aggressive"),
    ("allways", "always"),
    ("appart", "apart"),
    ("arbitary", "arbitrary"),
    ("begining", "beginning"),
    ("beleive", "believe"),
    ("catched", "caught"),
    ("comparision", "comparison"),
    ("dependend", "dependent"),
    ("existance", "existence"),
    ("familar", "familiar"),
    ("glance", "fast path"),
    ("immediatly", "immediately"),
    ("independant", "independent"),
    ("lenght", "length"),
    ("maintainance", "maintenance"),
    ("neccessary", "necessary"),
    ("newcomer", "new source"),
    ("occured", "occurred"),
    ("paket", "packet"),
    ("recieve", "receive"),
    ("refered", "referred"),
    ("seperate", "separate"),
    ("succesful", "successful"),
    ("teh", "the"),
    ("untill", "until"),
    ("usefull", "useful"),
    ("wether", "whether"),
];

pub(super) fn check(document: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, line) in document.text.lines().enumerate() {
        for word in line.split(|c: char| !c.is_alphanumeric()) {
            let lower = word.to_lowercase();
            let known = WORDS.iter().find(|(wrong, _)| *wrong == lower);
            findings.extend(known.map(|(_, right)| Finding {
                path: document.path.clone(),
                line: Some(index + 1),
                what: format!("{word}: write \"{right}\""),
                way_out: "the words of documents are in xtask/src/tidy/documents/spelling.rs",
            }));
        }
    }
    findings
}

/// What `typos` says of every file, with the words of typos.toml.
pub(super) fn by_typos() -> Result<Vec<Finding>> {
    if sh::find("typos").is_none() {
        println!("note: `typos` is not on PATH: spelling is checked by a short list only");
        return Ok(Vec::new());
    }
    let mut findings = Vec::new();
    let mut typos = sh::command("typos", ["--format", "brief"]);
    let succeeded = sh::stream(&mut typos, |line| {
        findings.push(Finding {
            path: line.to_owned(),
            line: None,
            what: "a word that typos does not know".to_owned(),
            way_out: "correct it, or add a name of the field to typos.toml",
        });
    })?;
    if !succeeded && findings.is_empty() {
        anyhow::bail!("`typos` failed without naming a word");
    }
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::super::super::fixture::source;
    use super::*;

    #[test]
    fn a_misspelt_word_is_found_whole_and_in_any_case() {
        let text = "fine\nRecieve it seperately, at a Glance";

        let found: Vec<_> = check(&source("README.md", text))
            .into_iter()
            .map(|finding| (finding.line, finding.what))
            .collect();

        assert_eq!(
            found,
            [
                (Some(2), "Recieve: write \"receive\"".to_owned()),
                (Some(2), "Glance: write \"fast path\"".to_owned()),
            ]
        );
    }
}
