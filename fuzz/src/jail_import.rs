//! fail2ban's jails: whatever is imported, guard reads back without a complaint.

use std::{collections::BTreeMap, fs};

use guard_user::{
    filters::Problem,
    jails::{
        self, FOLDER,
        import::{CheckedFilter, FILE, Surroundings, import},
    },
};

use crate::scratch;

pub(crate) fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    // Files of this machine are no matter of the input.
    if text.contains("before") || text.contains("after") {
        return;
    }
    scratch::with(|folder| {
        let from = folder.join("fail2ban");
        let etc = folder.join("guard");
        fs::create_dir_all(&from).expect("a folder");
        fs::create_dir_all(etc.join(FOLDER)).expect("a folder");
        fs::write(from.join("jail.conf"), text).expect("a file");
        let surroundings = Surroundings {
            taken: &BTreeMap::new(),
            check_filter: &|spec| match is_name(&spec.name) {
                true => Ok(CheckedFilter {
                    knows_journal: true,
                    ..CheckedFilter::default()
                }),
                false => Err(Problem::new("there is no such filter")),
            },
            is_edited: &|_| false,
        };
        let Ok(import) = import(&from, &surroundings) else {
            return;
        };
        fs::write(etc.join(FOLDER).join(FILE), &import.text).expect("a file");
        let read = jails::read(&etc, &[]);
        assert!(
            read.problems.is_empty(),
            "{}\n{}",
            import.text,
            read.problems
        );
        let mut names = import.jails.clone();
        names.sort();
        assert!(read.jails.keys().eq(&names), "{}", import.text);
    });
}

/// Could a filter have this name? All of those are there, and no others.
fn is_name(name: &str) -> bool {
    let is_letter = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    !name.is_empty() && name.chars().all(is_letter)
}
