//! Files of firewalld as trees: bounded, and without entities of their own.

use std::path::{Path, PathBuf};

use roxmltree::{Document, Node};

use super::super::{
    chains::SourceLine,
    files::{self, Text},
};
use crate::{
    failure::{Exit, Failure},
    text::value::quoted,
};

/// An element.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Element {
    pub(super) name: String,
    pub(super) attributes: Vec<(String, String)>,
    pub(super) children: Vec<Element>,
    pub(super) text: String,
    pub(super) line: usize,
}

/// Deepest nesting that a file of firewalld can have any use for.
const MOST_DEPTH: usize = 8;

impl Element {
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        let mut all = self.attributes.iter();
        all.find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    pub(super) fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name)
    }

    /// As it is written, on one line.
    pub(super) fn shown(&self) -> String {
        let mut text = format!("<{}", self.name);
        for (name, value) in &self.attributes {
            text += &format!(" {name}=\"{value}\"");
        }
        if self.children.is_empty() {
            return text + "/>";
        }
        text.push('>');
        for child in &self.children {
            text += &child.shown();
        }
        text
    }
}

/// A file, parsed.
#[derive(Clone, Debug)]
pub(super) struct File {
    pub(super) text: Text,
    pub(super) root: Element,
}

impl File {
    pub(super) fn place(&self, element: &Element) -> SourceLine {
        SourceLine {
            file: self.text.name.clone(),
            line: element.line,
        }
    }
}

/// `FOLDER/NAME.xml` of the administrator, else of the package; `None` when there is neither.
pub(super) fn find(root: &Path, folder: &str, name: &str) -> Result<Option<File>, Failure> {
    // A name is one of a file, and of nothing above it.
    if name.is_empty() || name.contains('/') || name.starts_with('.') {
        return Ok(None);
    }
    for base in ["etc/firewalld", "usr/lib/firewalld"] {
        let path = root.join(base).join(folder).join(format!("{name}.xml"));
        if let Some(file) = read(&path)? {
            return Ok(Some(file));
        }
    }
    Ok(None)
}

/// Names of the files of a folder of the administrator's and of the package's.
pub(super) fn names(root: &Path, bases: &[&str], folder: &str) -> Vec<String> {
    let mut names: Vec<String> = bases
        .iter()
        .filter_map(|base| std::fs::read_dir(root.join(base).join(folder)).ok())
        .flat_map(|entries| {
            entries
                .flatten()
                .map(|entry| PathBuf::from(entry.file_name()))
        })
        .filter(|name| name.extension().is_some_and(|extension| extension == "xml"))
        .filter_map(|name| Some(name.file_stem()?.to_str()?.to_owned()))
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

pub(super) fn read(path: &Path) -> Result<Option<File>, Failure> {
    let Some(text) = files::read(path)? else {
        return Ok(None);
    };
    // The parser goes down by calls of itself.
    if is_too_deep(&text.text) {
        return Err(too_deep(&text.name));
    }
    let document = Document::parse(&text.text).map_err(|error| {
        let line = error.pos().row;
        let what = quoted(&error.to_string());
        Failure::new(
            Exit::BadConfiguration,
            format!("{}:{line}: this is no XML: {what}", text.name),
        )
        .help("repair the file; `firewall-offline-cmd --check-config` checks all of them")
    })?;
    let root =
        element(&document, document.root_element(), 0).ok_or_else(|| too_deep(&text.name))?;
    Ok(Some(File { text, root }))
}

fn too_deep(name: &str) -> Failure {
    Failure::new(
        Exit::BadConfiguration,
        format!("{name}: elements are nested too deeply"),
    )
    .help("this is no file of firewalld; restore it")
}

/// Are more elements open at once than a file of firewalld has any use for? Also of what is no XML.
fn is_too_deep(text: &str) -> bool {
    const MOST: usize = 64;
    let mut depth = 0usize;
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        rest = &rest[at..];
        if rest.starts_with("<!--") {
            let end = rest.find("-->").unwrap_or(rest.len());
            rest = &rest[end..];
            continue;
        }
        let (mut quote, mut last) = (None, ' ');
        let end = rest.char_indices().skip(1).find(|(_, letter)| {
            let ends = quote.is_none() && *letter == '>';
            match quote {
                Some(mark) if mark == *letter => quote = None,
                None if matches!(letter, '"' | '\'') => quote = Some(*letter),
                Some(_) | None => {}
            }
            if !ends {
                last = *letter;
            }
            ends
        });
        if rest.starts_with("</") {
            depth = depth.saturating_sub(1);
        } else if !rest.starts_with("<?") && !rest.starts_with("<!") && last != '/' {
            depth += 1;
        }
        if depth > MOST {
            return true;
        }
        rest = end.map_or("", |(at, _)| &rest[at..]);
    }
    false
}

fn element(document: &Document<'_>, node: Node<'_, '_>, depth: usize) -> Option<Element> {
    if depth > MOST_DEPTH {
        return None;
    }
    let line = document.text_pos_at(node.range().start).row;
    let attributes = node.attributes();
    Some(Element {
        name: node.tag_name().name().to_owned(),
        attributes: attributes
            .map(|attribute| (attribute.name().to_owned(), attribute.value().to_owned()))
            .collect(),
        children: node
            .children()
            .filter(Node::is_element)
            .map(|child| element(document, child, depth + 1))
            .collect::<Option<_>>()?,
        text: node.text().unwrap_or_default().trim().to_owned(),
        line: usize::try_from(line).unwrap_or_default(),
    })
}
