//! A line of rules as words, quoted as a shell does.

/// The words; `None` when a quotation has no end.
#[must_use]
pub(in super::super) fn split(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut letters = line.chars();
    let mut quote: Option<char> = None;
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (Some(mark), _) if letter == mark => quote = None,
            (Some('"') | None, '\\') => word.get_or_insert_default().push(letters.next()?),
            (Some(_), _) => word.get_or_insert_default().push(letter),
            (None, '"' | '\'') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, _) if letter.is_whitespace() => words.extend(word.take()),
            (None, _) => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn quotations_are_words() {
        let words = split(r#"-A INPUT  -m comment --comment "a \"b\" c" -j 'X Y' """#).unwrap();
        assert_eq!(
            words,
            [
                "-A",
                "INPUT",
                "-m",
                "comment",
                "--comment",
                "a \"b\" c",
                "-j",
                "X Y",
                ""
            ]
        );
        assert_eq!(split("-A \"x"), None);
        assert_eq!(split("-A x\\"), None);
        assert_eq!(split("").unwrap(), [""; 0]);
    }
}
