//! The Markdown of the project: links, lengths, spelling, and whether the code that it names exists.

mod budget;
mod code;
mod lines;
mod links;
mod outline;
mod spelling;

use anyhow::Result;

use super::{Finding, Source, sources};
use crate::workspace;
use outline::Outline;

/// What is wrong with the documents that git has or would take. Needs no mdbook.
pub(crate) fn check() -> Result<Vec<Finding>> {
    let documents = sources("*.md")?;
    let mut findings = spelling::by_typos()?;
    for document in &documents {
        findings.extend(budget::check(document));
        findings.extend(lines::check(document));
        findings.extend(spelling::check(document));
        findings.extend(code::check(document, &workspace::root()));
    }
    let outlines: Vec<Outline<'_>> = documents.iter().map(Outline::of).collect();
    findings.extend(links::check(&outlines, &workspace::root()));
    findings.extend(links::unlisted(&outlines));
    Ok(findings)
}
