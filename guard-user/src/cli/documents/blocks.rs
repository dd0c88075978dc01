//! What a document shows: blocks of commands, blocks of TOML, and commands within a sentence.

use std::path::Path;

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

/// A piece of a document, with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// `docs/guide/bans.md:12`
    pub(super) place: String,
    pub(super) text: String,
}

pub(super) struct Document {
    pub(super) text: String,
    /// The lines of blocks marked `console`, `sh` or `text`, without a prompt.
    pub(super) shell: Vec<Piece>,
    /// `code` within a sentence or a table.
    pub(super) spans: Vec<Piece>,
    /// Blocks marked `toml`.
    pub(super) toml: Vec<Piece>,
}

impl Document {
    pub(super) fn read(path: &Path, root: &Path) -> Self {
        let text =
            std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        let name = path
            .strip_prefix(root)
            .unwrap_or(path)
            .display()
            .to_string();
        Self::of(&name, text)
    }

    pub(super) fn of(name: &str, text: String) -> Self {
        let (mut shell, mut spans, mut toml) = (Vec::new(), Vec::new(), Vec::new());
        let mut fence: Option<String> = None;
        for (event, range) in Parser::new_ext(&text, Options::ENABLE_TABLES).into_offset_iter() {
            let line = text[..range.start].matches('\n').count() + 1;
            let piece = |at: usize, text: &str| Piece {
                place: format!("{name}:{at}"),
                text: text.to_owned(),
            };
            if let Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))) = &event {
                fence = Some(info.to_string());
            } else if let Event::End(TagEnd::CodeBlock) = event {
                fence = None;
            } else if let Event::Code(code) = &event {
                // In a row of a table `\|` is a bar.
                spans.push(piece(line, &code.replace("\\|", "|")));
            } else if let Event::Text(block) = &event {
                match fence.as_deref() {
                    Some("toml") => toml.push(piece(line, block)),
                    Some("console" | "sh" | "text") => {
                        for (index, typed) in block.lines().enumerate() {
                            shell.push(piece(line + index, without_prompt(typed)));
                        }
                    }
                    _ => {}
                }
            }
        }
        Self {
            text,
            shell,
            spans,
            toml,
        }
    }
}

/// `# ` is root's prompt, `client$ ` that of somebody on another machine.
fn without_prompt(line: &str) -> &str {
    let line = line.trim_start();
    line.strip_prefix("# ")
        .or_else(|| line.split_once("$ ").map(|(_, typed)| typed))
        .unwrap_or(line)
}

#[test]
fn blocks_and_spans_are_found_with_their_lines() {
    let text = "# a\n```console\n# guardctl allow 22/tcp   # ssh\nguard is active\nclient$ curl x\n```\nsee `guardctl status`\n\n| a |\n|---|\n| `b \\| c` |\n\n```toml\nx = 1\n```\n";

    let document = Document::of("a.md", text.to_owned());

    let places = |pieces: &[Piece]| -> Vec<String> {
        let shown = pieces.iter();
        shown
            .map(|piece| format!("{} {}", piece.place, piece.text))
            .collect()
    };
    assert_eq!(
        places(&document.shell),
        [
            "a.md:3 guardctl allow 22/tcp   # ssh",
            "a.md:4 guard is active",
            "a.md:5 curl x"
        ]
    );
    assert_eq!(
        places(&document.spans),
        ["a.md:7 guardctl status", "a.md:11 b | c"]
    );
    assert_eq!(places(&document.toml), ["a.md:14 x = 1\n"]);
}
