//! Lists of bans in every form that is read: what an entry says is written and read back the same.

use guard_user::bans::{
    Term,
    lines::{Entry, Lines, write_line},
};

pub(crate) fn run(input: &[u8]) {
    let all = Lines::read(input);
    for entry in &all.entries {
        comes_back(entry);
    }
    let most = all.entries.len() / 2;
    let some = Lines::read_up_to(input, most);
    assert_eq!(some.entries[..], all.entries[..most]);
    assert_eq!(some.is_cut, all.entries.len() > most);
}

fn comes_back(entry: &Entry) {
    let prefix = entry.target.prefix;
    let term = entry.term.unwrap_or(Term::Permanent);
    let reason = entry.reason.as_deref().unwrap_or_default();
    let line = write_line(prefix, term, reason);
    let read = Lines::read(line.as_bytes());
    assert_eq!(read.wrong, [], "{line}");
    let [again] = read.entries.as_slice() else {
        panic!("{} entries: {line}", read.entries.len());
    };
    assert_eq!(again.target.prefix, prefix, "{line}");
    assert_eq!(again.term.unwrap_or(Term::Permanent), term, "{line}");
}
