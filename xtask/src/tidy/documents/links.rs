//! Relative links lead somewhere, and every chapter can be reached from the table of contents.

use std::{
    collections::HashSet,
    path::{Component, Path, PathBuf},
};

use super::{Finding, outline::Outline};

/// The folder that becomes the book, and its table of contents.
const BOOK: &str = "docs/";
const CONTENTS: &str = "docs/SUMMARY.md";

/// Links of all documents; `root` is the folder that their paths are relative to.
pub(super) fn check(documents: &[Outline<'_>], root: &Path) -> Vec<Finding> {
    let mut findings = Vec::new();
    for document in documents {
        for link in &document.links {
            if let Some((what, way_out)) = problem(document, &link.target, documents, root) {
                findings.push(Finding {
                    path: document.path.to_owned(),
                    line: Some(link.line),
                    what,
                    way_out,
                });
            }
        }
    }
    findings
}

fn problem(
    document: &Outline<'_>,
    target: &str,
    documents: &[Outline<'_>],
    root: &Path,
) -> Option<(String, &'static str)> {
    // Pages of others are not asked for: a check must not depend on the network.
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
    let path = if file.is_empty() {
        document.path.to_owned()
    } else {
        resolved(document.path, file)
    };
    if document.path.starts_with(BOOK) && !path.starts_with(BOOK) {
        return Some((
            format!("the link {target} leaves docs/, and the book ends there"),
            "name the file in `code`, or move what is meant into docs/",
        ));
    }
    if document.path.starts_with(BOOK) && path.ends_with("/README.md") {
        return Some((
            format!(
                "the book makes index.html of {path}, and the link {target} leads to README.html"
            ),
            "call the chapter index.md",
        ));
    }
    if !root.join(&path).exists() && !documents.iter().any(|other| other.path == path) {
        return Some((
            format!("the link {target} leads to {path}, which does not exist"),
            "correct the path; it is relative to the document",
        ));
    }
    let meant = documents.iter().find(|other| other.path == path);
    let has_anchor = meant.is_none_or(|other| other.anchors.contains(anchor));
    (!anchor.is_empty() && !has_anchor).then(|| {
        (
            format!("{path} has no heading with the anchor #{anchor}"),
            "take the heading in lower case, with - for blanks and without punctuation",
        )
    })
}

/// Chapters of the book that its table of contents does not list: mdBook leaves them out in silence.
pub(super) fn unlisted(documents: &[Outline<'_>]) -> Vec<Finding> {
    let Some(contents) = documents.iter().find(|document| document.path == CONTENTS) else {
        return Vec::new();
    };
    let links = contents.links.iter();
    let listed: HashSet<String> = links
        .map(|link| resolved(contents.path, &link.target))
        .collect();
    let chapters = documents.iter().map(|document| document.path);
    chapters
        .filter(|path| path.starts_with(BOOK) && *path != CONTENTS && !listed.contains(*path))
        .map(|path| Finding {
            path: path.to_owned(),
            line: None,
            what: format!("{CONTENTS} does not list it, so it is not in the book"),
            way_out: "add a line to the table of contents",
        })
        .collect()
}

/// The path from the root of what a link in `document` names.
fn resolved(document: &str, link: &str) -> String {
    let folder = Path::new(document).parent().unwrap_or(Path::new(""));
    let mut path = PathBuf::new();
    for part in folder.join(link).components() {
        if part == Component::ParentDir {
            path.pop();
        } else if part != Component::CurDir {
            path.push(part);
        }
    }
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::super::super::{Source, fixture::source};
    use super::*;

    fn whats(sources: &[Source], check: impl Fn(&[Outline<'_>]) -> Vec<Finding>) -> Vec<String> {
        let outlines: Vec<Outline<'_>> = sources.iter().map(Outline::of).collect();
        let findings = check(&outlines);
        findings
            .iter()
            .map(|finding| format!("{}:{:?} {}", finding.path, finding.line, finding.what))
            .collect()
    }

    #[test]
    fn a_link_needs_a_file_and_a_heading() {
        let sources = [
            source(
                "README.md",
                "[a](docs/a.md#here) [b](docs/a.md#there)\n[c](docs/b.md) [d](https://example.org/x) [e](#gone)",
            ),
            source(
                "docs/a.md",
                "# Here\n[up](../README.md) [self](#here) [index](b/README.md)",
            ),
        ];
        let nowhere = Path::new("/nonexistent");

        let found = whats(&sources, |outlines| check(outlines, nowhere));

        assert_eq!(
            found,
            [
                "README.md:Some(1) docs/a.md has no heading with the anchor #there",
                "README.md:Some(2) the link docs/b.md leads to docs/b.md, which does not exist",
                "README.md:Some(2) README.md has no heading with the anchor #gone",
                "docs/a.md:Some(2) the link ../README.md leaves docs/, and the book ends there",
                "docs/a.md:Some(2) the book makes index.html of docs/b/README.md, and the link b/README.md leads to README.html",
            ]
        );
    }

    #[test]
    fn a_chapter_is_listed_in_the_table_of_contents() {
        let sources = [
            source("docs/SUMMARY.md", "- [a](guide/a.md)"),
            source("docs/guide/a.md", "# A"),
            source("docs/guide/b.md", "# B"),
            source("README.md", "# R"),
        ];

        let found = whats(&sources, unlisted);

        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("docs/guide/b.md:None"), "{found:?}");
    }
}
