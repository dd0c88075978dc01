//! What the tests that failed have printed: kept from libtest's output, and shown again at the end, for a log of
//! an hour is cut where nobody looks.

/// Most tests that are run again.
const MOST_AGAIN: usize = 2;
/// Most lines shown again of each test.
const MOST_LINES: usize = 80;

/// Reads the output of test programs, line by line.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    tests: Vec<Failure>,
    section: Section,
}

/// A test that failed.
#[derive(Debug, PartialEq, Eq)]
struct Failure {
    name: String,
    printed: Vec<String>,
}

/// Where in the output of a test program a line stands.
#[derive(Debug, Default, PartialEq, Eq)]
enum Section {
    #[default]
    Elsewhere,
    Failures,
    /// The output of this failure.
    Of(usize),
}

impl Failures {
    /// Takes in a line.
    pub(crate) fn note(&mut self, line: &str) {
        let failed = line
            .strip_prefix("test ")
            .and_then(|rest| rest.strip_suffix(" ... FAILED"));
        if let Some(name) = failed {
            self.tests.push(Failure {
                name: name.to_owned(),
                printed: Vec::new(),
            });
            return;
        }
        let title = line
            .strip_prefix("---- ")
            .and_then(|rest| rest.strip_suffix(" stdout ----"));
        match (line, title) {
            ("failures:", _) => self.section = Section::Failures,
            ("successes:", _) => self.section = Section::Elsewhere,
            _ if line.starts_with("test result: ") => self.section = Section::Elsewhere,
            (_, Some(title)) if self.section != Section::Elsewhere => {
                // Two test programs may have tests of one name: the later is meant.
                let found = self.tests.iter().rposition(|test| test.name == title);
                self.section = found.map_or(Section::Failures, Section::Of);
            }
            _ => {
                if let Section::Of(index) = self.section {
                    self.tests[index].printed.push(line.to_owned());
                }
            }
        }
    }

    /// The names of those that may be run again: none when so many failed that it is no accident.
    pub(crate) fn again(&self) -> Vec<&str> {
        if self.tests.len() > MOST_AGAIN {
            return Vec::new();
        }
        self.tests.iter().map(|test| test.name.as_str()).collect()
    }

    /// Shows what they printed.
    pub(crate) fn show(&self) {
        for test in &self.tests {
            println!("\n---- {} ----", test.name);
            for line in test.printed.iter().take(MOST_LINES) {
                println!("{line}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "\
running 3 tests
test a::passes ... ok
test b::fails ... FAILED
test c::passes ... ok

successes:

---- a::passes stdout ----
of no interest

successes:
    a::passes

failures:

---- b::fails stdout ----
thread 'b::fails' panicked at tests/x.rs:1:1:
left is not right

failures:
    b::fails

test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s
later";

    fn noted(text: &str) -> Failures {
        let mut failures = Failures::default();
        text.lines().for_each(|line| failures.note(line));
        failures
    }

    #[test]
    fn a_failed_test_is_kept_with_what_it_printed() {
        let failures = noted(OUTPUT);

        assert_eq!(failures.again(), ["b::fails"]);
        let wanted = [
            "thread 'b::fails' panicked at tests/x.rs:1:1:",
            "left is not right",
            "",
        ];
        assert_eq!(failures.tests[0].printed, wanted);
    }

    #[test]
    fn many_failures_are_no_accident() {
        let failures = noted(&[OUTPUT; MOST_AGAIN + 1].join("\n"));

        assert!(failures.again().is_empty());
        assert_eq!(failures.tests.len(), MOST_AGAIN + 1);
    }
}
