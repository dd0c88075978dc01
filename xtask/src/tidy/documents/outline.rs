//! One document as its readers navigate it: where it links to, and which anchors it has.

use std::collections::{HashMap, HashSet};

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use super::Source;

/// A link or a picture.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Link {
    /// From 1.
    pub(super) line: usize,
    pub(super) target: String,
}

/// Links and anchors of one document.
pub(super) struct Outline<'s> {
    pub(super) path: &'s str,
    pub(super) links: Vec<Link>,
    pub(super) anchors: HashSet<String>,
}

impl<'s> Outline<'s> {
    pub(super) fn of(source: &'s Source) -> Self {
        let text = &source.text;
        let mut outline = Self {
            path: &source.path,
            links: Vec::new(),
            anchors: HashSet::new(),
        };
        let mut seen: HashMap<String, usize> = HashMap::new();
        let mut heading: Option<String> = None;
        for (event, range) in Parser::new_ext(text, Options::ENABLE_TABLES).into_offset_iter() {
            // Each other event says nothing about navigation.
            if let Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) = &event {
                outline.links.push(Link {
                    line: text[..range.start].matches('\n').count() + 1,
                    target: dest_url.to_string(),
                });
            } else if let Event::Start(Tag::Heading { .. }) = event {
                heading = Some(String::new());
            } else if let Event::Text(part) | Event::Code(part) = &event {
                if let Some(heading) = &mut heading {
                    heading.push_str(part);
                }
            } else if let Event::End(TagEnd::Heading(_)) = event {
                let anchor = anchor(&heading.take().unwrap_or_default());
                // The second heading of the same words gets a number, on GitHub and in the book.
                let count = seen.entry(anchor.clone()).or_default();
                outline.anchors.insert(match *count {
                    0 => anchor,
                    count => format!("{anchor}-{count}"),
                });
                *count += 1;
            }
        }
        outline
    }
}

/// What GitHub and mdBook make of a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().chars().filter_map(|c| match c {
        c if c.is_alphanumeric() || c == '_' || c == '-' => Some(c),
        c if c.is_whitespace() => Some('-'),
        _ => None,
    });
    kept.flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::super::super::fixture::source;
    use super::*;

    #[test]
    fn anchors_are_those_of_github_and_of_the_book() {
        let text = "# guard\n## The `never` list, and why\n## Limits\n## Limits\n";
        let document = source("README.md", text);
        let outline = Outline::of(&document);

        for anchor in ["guard", "the-never-list-and-why", "limits", "limits-1"] {
            assert!(outline.anchors.contains(anchor), "{anchor}");
        }
        assert_eq!(outline.anchors.len(), 4);
    }

    #[test]
    fn links_are_found_with_their_lines_and_code_is_none() {
        let text = "# a\n\nsee [b](b.md#c)\n`[no](link)`\n\n| [d] | x |\n|---|---|\n| [e](e.md) | |\n\n[d]: d.md\n";
        let document = source("README.md", text);
        let found: Vec<(usize, String)> = Outline::of(&document)
            .links
            .into_iter()
            .map(|link| (link.line, link.target))
            .collect();

        assert_eq!(
            found,
            [
                (3, "b.md#c".to_owned()),
                (6, "d.md".to_owned()),
                (8, "e.md".to_owned())
            ]
        );
    }
}
