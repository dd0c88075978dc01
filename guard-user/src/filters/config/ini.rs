//! One file of fail2ban's configuration language: sections, options, continuation lines and
//! comments, each value with the line it stands in. What values mean is not known here.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use super::problem::{ConfigLine, Problem};

/// Options that stand in every section.
pub(crate) const DEFAULT: &str = "DEFAULT";

/// A value as it is written, before anything is put into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Raw {
    /// The lines of the value, trimmed, joined by line feeds.
    pub(crate) text: String,
    /// Where the option begins.
    pub(crate) place: ConfigLine,
}

/// The options of one section by name (in lower case, as fail2ban compares them).
pub(crate) type Section = BTreeMap<String, Raw>;

/// One file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ini {
    /// Its sections by name.
    pub(crate) sections: BTreeMap<String, Section>,
}

/// An option whose lines are still being gathered.
struct Open {
    section: String,
    name: String,
    indent: usize,
    lines: Vec<String>,
    line: usize,
}

/// Reads one file.
///
/// # Errors
/// The first line that is none of the language: before any section, without `=` or `:`, or twice.
pub(crate) fn parse(path: &Arc<PathBuf>, text: &str) -> Result<Ini, Problem> {
    let mut ini = Ini::default();
    let mut section: Option<String> = None;
    let mut open: Option<Open> = None;
    for (index, written) in text.lines().enumerate() {
        let place = ConfigLine::new(path, index + 1);
        let content = without_comment(written);
        if content.is_empty() {
            // An empty line may stand within a value; a comment does not end one either.
            if let Some(open) = &mut open
                && written.trim().is_empty()
            {
                open.lines.push(String::new());
            }
            continue;
        }
        let indent = written.len() - written.trim_start().len();
        if let Some(open) = &mut open
            && indent > open.indent
        {
            open.lines.push(content.to_owned());
            continue;
        }
        if let Some(name) = header(content) {
            close(&mut ini, path, open.take());
            ini.sections.entry(name.to_owned()).or_default();
            section = Some(name.to_owned());
            continue;
        }
        let Some(section) = &section else {
            return Err(
                Problem::at(&place, format!("`{content}` is not in a section"))
                    .help("put a section such as [Definition] before it"),
            );
        };
        let Some((name, value)) = content.split_once(['=', ':']) else {
            return Err(Problem::at(
                &place,
                format!("`{content}` is neither an option nor a section"),
            )
            .help("write `name = value`, or indent the line if it continues a value"));
        };
        let name = name.trim().to_lowercase();
        if name.is_empty() {
            return Err(Problem::at(
                &place,
                format!("`{content}` has no name before the `=`"),
            ));
        }
        close(&mut ini, path, open.take());
        let is_there = ini
            .sections
            .get(section)
            .and_then(|options| options.get(&name));
        if let Some(first) = is_there {
            let first = first.place.line;
            return Err(Problem::at(
                &place,
                format!("[{section}] has `{name}` a second time, the first is on line {first}"),
            )
            .help("take one of them out"));
        }
        open = Some(Open {
            section: section.clone(),
            name,
            indent,
            lines: vec![value.trim().to_owned()],
            line: index + 1,
        });
    }
    close(&mut ini, path, open);
    Ok(ini)
}

fn close(ini: &mut Ini, path: &Arc<PathBuf>, open: Option<Open>) {
    let Some(open) = open else { return };
    let raw = Raw {
        text: open.lines.join("\n").trim_end().to_owned(),
        place: ConfigLine::new(path, open.line),
    };
    ini.sections
        .entry(open.section)
        .or_default()
        .insert(open.name, raw);
}

/// The line without its comment: `#` and `;` at the start, `;` behind a space anywhere.
fn without_comment(line: &str) -> &str {
    let trimmed = line.trim();
    if trimmed.starts_with(['#', ';']) {
        return "";
    }
    let mut from = 0;
    while let Some(found) = line[from..].find(';') {
        let at = from + found;
        if line[..at].ends_with(char::is_whitespace) {
            return line[..at].trim();
        }
        from = at + 1;
    }
    trimmed
}

fn header(content: &str) -> Option<&str> {
    let inner = content.strip_prefix('[')?;
    let end = inner.rfind(']')?;
    (end > 0).then(|| &inner[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Ini, Problem> {
        parse(&Arc::new(PathBuf::from("x.conf")), text)
    }

    fn value(ini: &Ini, section: &str, name: &str) -> String {
        ini.sections[section][name].text.clone()
    }

    #[test]
    fn values_go_on_in_indented_lines_and_comments_are_no_part_of_them() {
        let ini = read(
            "# top\n[Definition]\nfailregex = ^one$\n            ^two$\n# between\n\n  ^three$ ; last\nMode: normal\n; x\n[Init]\na=b;c\n",
        )
        .unwrap();

        assert_eq!(
            value(&ini, "Definition", "failregex"),
            "^one$\n^two$\n\n^three$"
        );
        assert_eq!(value(&ini, "Definition", "mode"), "normal");
        assert_eq!(value(&ini, "Init", "a"), "b;c");
        assert_eq!(ini.sections["Definition"]["mode"].place.line, 8);
    }

    #[test]
    fn a_wrong_line_is_named_with_its_number() {
        for (text, line, said) in [
            ("failregex = x\n", 1, "is not in a section"),
            (
                "[Definition]\nfailregex\n",
                2,
                "neither an option nor a section",
            ),
            ("[Definition]\na = 1\nb = 2\nA = 3\n", 4, "a second time"),
            ("[Definition]\n= 1\n", 2, "no name"),
        ] {
            let problem = read(text).unwrap_err();

            let shown = problem.to_string();
            assert!(shown.contains(&format!("x.conf:{line}:")), "{shown}");
            assert!(shown.contains(said), "{shown}");
        }
    }
}
