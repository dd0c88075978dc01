//! The two documents that everybody reads first can be read in one sitting.

use super::{Finding, Source};

const README_LINES: usize = 170;
const ARCHITECTURE_BYTES: usize = 12 * 1024;

pub(super) fn check(document: &Source) -> Option<Finding> {
    let (size, most, unit) = match document.path.as_str() {
        "README.md" => (document.text.lines().count(), README_LINES, "lines"),
        "ARCHITECTURE.md" => (document.text.len(), ARCHITECTURE_BYTES, "bytes"),
        _ => return None,
    };
    (size > most).then(|| Finding {
        path: document.path.clone(),
        line: None,
        what: format!("{size} {unit}; {most} is the limit"),
        way_out: "move what is not needed in the first hour to docs/",
    })
}

#[cfg(test)]
mod tests {
    use super::super::super::fixture::source;
    use super::*;

    #[test]
    fn readme_and_architecture_are_short_and_chapters_are_not_asked() {
        let cases = [
            ("README.md", README_LINES, false),
            ("README.md", README_LINES + 1, true),
            ("ARCHITECTURE.md", ARCHITECTURE_BYTES / 2, false),
            ("ARCHITECTURE.md", ARCHITECTURE_BYTES / 2 + 1, true),
            ("docs/a.md", ARCHITECTURE_BYTES, false),
        ];
        for (path, lines, expected) in cases {
            let document = source(path, &"x\n".repeat(lines));
            assert_eq!(check(&document).is_some(), expected, "{path}: {lines}");
        }
    }
}
