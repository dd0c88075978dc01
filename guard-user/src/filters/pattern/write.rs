//! A pattern's tree, written for Rust's engines: exactly, or as an outline that matches at least what
//! the pattern does and needs no backtracking.

use super::syntax::Node;

/// The groups of a pattern by number; the first is the whole match.
pub(super) type Groups = Vec<Option<String>>;

/// The pattern as it is, and its groups.
pub(super) fn exact(node: &Node) -> (String, Groups) {
    let mut text = String::new();
    let mut groups = vec![None];
    write_exact(node, &mut text, &mut groups);
    (text, groups)
}

/// Does it need an engine that backtracks?
pub(super) fn needs_backtracking(node: &Node) -> bool {
    match node {
        Node::Look { .. } | Node::Atomic(_) | Node::Again(_) | Node::If { .. } => true,
        Node::Repeat {
            inner,
            is_possessive,
            ..
        } => *is_possessive || needs_backtracking(inner),
        Node::Plain(_) | Node::Position(_) | Node::Host(_) | Node::Flags(_) => false,
        Node::Row(nodes) | Node::Choice(nodes) => nodes.iter().any(needs_backtracking),
        Node::Capture { inner, .. } | Node::Group { inner, .. } => needs_backtracking(inner),
    }
}

/// Does it only match at the start of the text?
pub(super) fn is_anchored(node: &Node) -> bool {
    match node {
        Node::Position(text) => matches!(*text, "^" | r"\A"),
        Node::Row(nodes) => {
            let mut nodes = nodes.iter();
            nodes
                .find(|node| !matches!(node, Node::Flags(_)))
                .is_some_and(is_anchored)
        }
        Node::Choice(nodes) => nodes.iter().all(is_anchored),
        Node::Capture { inner, .. } | Node::Group { inner, .. } | Node::Atomic(inner) => {
            is_anchored(inner)
        }
        Node::Plain(_)
        | Node::Host(_)
        | Node::Flags(_)
        | Node::Repeat { .. }
        | Node::Look { .. }
        | Node::Again(_)
        | Node::If { .. } => false,
    }
}

/// What of the positions (`^`, `$`, `\b`) an outline keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Positions {
    /// All: it is matched against the same text as the pattern.
    Kept,
    /// None: it is matched within a longer text.
    Dropped,
}

/// Something that matches whatever the pattern matches.
pub(super) fn outline(node: &Node, positions: Positions) -> String {
    let mut text = String::new();
    write_outline(node, positions, &mut text);
    text
}

/// The outline of how a match begins, up to the first part that can be long. Shorter to look for than all of it.
pub(super) fn outline_start(node: &Node) -> String {
    let mut text = String::new();
    match node {
        Node::Row(nodes) => {
            for node in nodes {
                if is_short(node) {
                    write_outline(node, Positions::Dropped, &mut text);
                } else {
                    text.push_str(&outline_start(node));
                    break;
                }
            }
        }
        Node::Choice(nodes) => {
            let starts: Vec<String> = nodes.iter().map(outline_start).collect();
            text = format!("(?:{})", starts.join("|"));
        }
        Node::Capture { inner, .. } => text = format!("(?:{})", outline_start(inner)),
        Node::Group { flags, inner } => text = format!("(?{flags}:{})", outline_start(inner)),
        Node::Plain(_)
        | Node::Position(_)
        | Node::Host(_)
        | Node::Flags(_)
        | Node::Repeat { .. }
        | Node::Look { .. }
        | Node::Atomic(_)
        | Node::Again(_)
        | Node::If { .. } => {
            if is_short(node) {
                write_outline(node, Positions::Dropped, &mut text);
            }
        }
    }
    text
}

fn is_short(node: &Node) -> bool {
    match node {
        Node::Plain(_) | Node::Position(_) | Node::Flags(_) | Node::Look { .. } => true,
        Node::Host(_) | Node::Again(_) => false,
        Node::Row(nodes) | Node::Choice(nodes) => nodes.iter().all(is_short),
        Node::Capture { inner, .. } | Node::Group { inner, .. } | Node::Atomic(inner) => {
            is_short(inner)
        }
        Node::Repeat { inner, count, .. } => {
            let is_long =
                count.starts_with(['*', '+']) || count.trim_end_matches('?').ends_with(",}");
            !is_long && is_short(inner)
        }
        Node::If { yes, no, .. } => is_short(yes) && is_short(no),
    }
}

/// The outline of what stands in front of a group of this name, if that is certain to come first.
pub(super) fn outline_before(node: &Node, name: &str) -> Option<String> {
    let Node::Row(nodes) = node else { return None };
    let is_it =
        |node: &Node| matches!(node, Node::Capture { name: Some(found), .. } if found == name);
    let at = nodes.iter().position(is_it)?;
    let mut text = String::new();
    for node in &nodes[..at] {
        write_outline(node, Positions::Kept, &mut text);
    }
    Some(text)
}

/// A pattern that ends with a group of this name, which takes all that is left: what stands before it, and
/// one character. None if it ends otherwise.
pub(super) fn head_of_rest(node: &Node, name: &str) -> Option<Node> {
    let Node::Row(nodes) = node else { return None };
    let (last, before) = match nodes.split_last()? {
        (Node::Position("$"), before) => before.split_last()?,
        other => other,
    };
    let Node::Capture {
        name: Some(found),
        inner,
    } = last
    else {
        return None;
    };
    let takes_all = matches!(
        &**inner,
        Node::Repeat { inner, count, is_possessive: false }
            if count == "+" && **inner == Node::Plain(".".to_owned())
    );
    // Flags could make a dot mean something else.
    let has_flags = before.iter().any(|node| matches!(node, Node::Flags(_)));
    if found != name || !takes_all || has_flags {
        return None;
    }
    let mut head = before.to_vec();
    head.push(Node::Plain(".".to_owned()));
    Some(Node::Row(head))
}

fn write_exact(node: &Node, text: &mut String, groups: &mut Groups) {
    match node {
        Node::Plain(plain) => text.push_str(plain),
        Node::Position(position) => text.push_str(position),
        Node::Host(host) => {
            groups.extend(host.groups().iter().map(|name| Some((*name).to_owned())));
            text.push_str(&host.pattern());
        }
        Node::Row(nodes) => {
            for node in nodes {
                write_exact(node, text, groups);
            }
        }
        Node::Choice(nodes) => {
            for (index, node) in nodes.iter().enumerate() {
                if index > 0 {
                    text.push('|');
                }
                write_exact(node, text, groups);
            }
        }
        Node::Capture { name, inner } => {
            groups.push(name.clone());
            match name {
                Some(name) => text.push_str(&format!("(?P<{name}>")),
                None => text.push('('),
            }
            write_exact(inner, text, groups);
            text.push(')');
        }
        Node::Group { flags, inner } => {
            text.push_str(&format!("(?{flags}:"));
            write_exact(inner, text, groups);
            text.push(')');
        }
        Node::Flags(flags) if flags.is_empty() => {}
        Node::Flags(flags) => text.push_str(&format!("(?{flags})")),
        Node::Repeat {
            inner,
            count,
            is_possessive,
        } => {
            let needs_group = matches!(**inner, Node::Host(_) | Node::Row(_));
            text.push_str(if needs_group { "(?:" } else { "" });
            write_exact(inner, text, groups);
            text.push_str(if needs_group { ")" } else { "" });
            text.push_str(count);
            text.push_str(if *is_possessive { "+" } else { "" });
        }
        Node::Look { open, inner } => {
            text.push_str(open);
            write_exact(inner, text, groups);
            text.push(')');
        }
        Node::Atomic(inner) => {
            text.push_str("(?>");
            write_exact(inner, text, groups);
            text.push(')');
        }
        Node::Again(group) if group.bytes().all(|byte| byte.is_ascii_digit()) => {
            // In a group of its own, or a digit that follows would be part of the number.
            text.push_str(&format!("(?:\\{group})"));
        }
        Node::Again(group) => text.push_str(&format!("(?P={group})")),
        Node::If { group, yes, no } => {
            let is_number = group.bytes().all(|byte| byte.is_ascii_digit());
            let condition = if is_number {
                group.clone()
            } else {
                format!("<{group}>")
            };
            text.push_str(&format!("(?({condition})"));
            write_exact(yes, text, groups);
            text.push('|');
            write_exact(no, text, groups);
            text.push(')');
        }
    }
}

fn write_outline(node: &Node, positions: Positions, text: &mut String) {
    let bracketed = |open: &str, inner: &Node, text: &mut String| {
        text.push_str(open);
        write_outline(inner, positions, text);
        text.push(')');
    };
    match node {
        Node::Plain(plain) => text.push_str(plain),
        Node::Position(position) => match positions {
            Positions::Kept => text.push_str(position),
            Positions::Dropped => {}
        },
        Node::Host(host) => text.push_str(host.outline()),
        Node::Row(nodes) => {
            for node in nodes {
                write_outline(node, positions, text);
            }
        }
        Node::Choice(nodes) => {
            for (index, node) in nodes.iter().enumerate() {
                if index > 0 {
                    text.push('|');
                }
                write_outline(node, positions, text);
            }
        }
        Node::Capture { inner, .. } | Node::Atomic(inner) => bracketed("(?:", inner, text),
        Node::Group { flags, inner } => bracketed(&format!("(?{flags}:"), inner, text),
        Node::Flags(flags) if flags.is_empty() => {}
        Node::Flags(flags) => text.push_str(&format!("(?{flags})")),
        Node::Repeat { inner, count, .. } => {
            bracketed("(?:", inner, text);
            text.push_str(count);
        }
        Node::Look { .. } => {}
        Node::Again(_) => text.push_str("(?s:.*)"),
        Node::If { yes, no, .. } => {
            bracketed("(?:(?:", yes, text);
            text.push('|');
            bracketed("(?:", no, text);
            text.push(')');
        }
    }
}
