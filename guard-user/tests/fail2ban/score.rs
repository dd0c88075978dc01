//! How many sample lines of each filter gave what fail2ban expects.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::exceptions::Exception;

#[derive(Default)]
pub(crate) struct Score {
    filters: BTreeMap<String, (usize, usize)>,
    wrong: Vec<Wrong>,
}

struct Wrong {
    filter: String,
    file: String,
    line: usize,
    options: String,
    what: String,
}

impl Score {
    pub(crate) fn note(
        &mut self,
        filter: &str,
        file: &str,
        line: usize,
        options: &Map<String, Value>,
        wrong: Option<String>,
    ) {
        let (right, all) = self.filters.entry(filter.to_owned()).or_default();
        *all += 1;
        match wrong {
            None => *right += 1,
            Some(what) => self.wrong.push(Wrong {
                filter: filter.to_owned(),
                file: file.to_owned(),
                line,
                options: Value::Object(options.clone()).to_string(),
                what,
            }),
        }
    }

    pub(crate) fn cases(&self) -> usize {
        self.filters.values().map(|(_, all)| all).sum()
    }

    pub(crate) fn print(&self) {
        for (filter, (right, all)) in &self.filters {
            println!("{filter:32} {right:4} of {all:4}");
        }
        let right = self.cases() - self.wrong.len();
        println!("{:32} {right:4} of {:4}", "all", self.cases());
    }

    /// Everything is right but what the list says, and what the list says is wrong indeed.
    pub(crate) fn assert_only_the_exceptions(&self, list: &[Exception]) {
        assert!(
            100 * list.len() <= self.cases(),
            "more than one exception in a hundred"
        );
        let mut met: BTreeSet<usize> = BTreeSet::new();
        let mut unknown = Vec::new();
        for wrong in &self.wrong {
            let found = list.iter().position(|exception| {
                exception.filter == wrong.filter
                    && exception.file == wrong.file
                    && exception.line == wrong.line
            });
            match found {
                Some(number) => {
                    met.insert(number);
                }
                None => unknown.push(format!(
                    "{} {}:{} {}: {}",
                    wrong.filter, wrong.file, wrong.line, wrong.options, wrong.what
                )),
            }
        }
        assert!(
            unknown.is_empty(),
            "{} differ:\n{}",
            unknown.len(),
            unknown.join("\n")
        );
        for (number, exception) in list.iter().enumerate() {
            assert!(
                met.contains(&number),
                "{}:{} is no exception any more ({})",
                exception.file,
                exception.line,
                exception.reason
            );
        }
    }
}
