//! What is kept, said, said again and lifted.

use super::*;

const DAY: u64 = 86_400;

fn ban(prefix: &str, id: u64, left: u64) -> Listed {
    Listed::Ban(Decision {
        prefix: prefix.parse().expect("a prefix"),
        id,
        left,
        reason: "test (cscli)".to_owned(),
    })
}

fn lists(new: Vec<Listed>, deleted: Vec<Listed>) -> Lists {
    Lists {
        new,
        deleted,
        beyond: 0,
    }
}

fn said(known: &mut Known, now: Instant) -> Vec<(String, u64, u32)> {
    let mut records: Vec<_> = known
        .next_records(200, now)
        .into_iter()
        .map(|record| (record.prefix, record.id, record.left))
        .collect();
    records.sort();
    records
}

fn line(prefix: &str, id: u64, left: u32) -> (String, u64, u32) {
    (prefix.to_owned(), id, left)
}

#[test]
fn a_decision_is_said_once_and_lifted_by_its_value() {
    let (mut known, now) = (Known::default(), Instant::now());
    known.take_in(
        Pull::All,
        lists(vec![ban("203.0.113.7", 5, 600)], vec![]),
        now,
    );
    assert_eq!(said(&mut known, now), [line("203.0.113.7", 5, 600)]);
    known.take_in(
        Pull::All,
        lists(vec![ban("203.0.113.7", 5, 600)], vec![]),
        now,
    );
    assert!(said(&mut known, now).is_empty());
    // The id of the deletion is another one.
    known.take_in(
        Pull::Changes,
        lists(vec![], vec![ban("203.0.113.7", 3, 0)]),
        now,
    );
    assert_eq!(said(&mut known, now), [line("203.0.113.7", 5, 0)]);
    assert_eq!(known.count_in_force(now), 0);
}

#[test]
fn a_list_that_has_shrunk_lifts_nothing() {
    let (mut known, now) = (Known::default(), Instant::now());
    let both = vec![ban("203.0.113.7", 5, 600), ban("2001:db8::/48", 6, 600)];
    known.take_in(Pull::All, lists(both, vec![]), now);
    assert_eq!(said(&mut known, now).len(), 2);
    known.take_in(
        Pull::All,
        lists(vec![], vec![ban("203.0.113.7", 4, 0)]),
        now,
    );
    assert!(said(&mut known, now).is_empty());
    assert_eq!(known.count_in_force(now), 2);
    let later = now + Duration::from_secs(601);
    known.take_in(Pull::All, lists(vec![], vec![]), later);
    assert_eq!(known.count_in_force(later), 0);
    assert!(said(&mut known, later).is_empty());
}

#[test]
fn what_is_new_and_deleted_at_once_is_in_force() {
    let (mut known, now) = (Known::default(), Instant::now());
    known.take_in(
        Pull::All,
        lists(vec![ban("203.0.113.7", 5, 600)], vec![]),
        now,
    );
    said(&mut known, now);
    let both = lists(
        vec![ban("203.0.113.7", 9, 6000)],
        vec![ban("203.0.113.7", 5, 0)],
    );
    known.take_in(Pull::Changes, both, now);
    assert_eq!(said(&mut known, now), [line("203.0.113.7", 9, 6000)]);
}

#[test]
fn of_several_the_longest_counts() {
    let (mut known, now) = (Known::default(), Instant::now());
    let three = [(1, 60), (2, 6000), (3, 600)];
    let three = three.map(|(id, left)| ban("203.0.113.7", id, left));
    known.take_in(Pull::All, lists(three.to_vec(), vec![]), now);
    assert_eq!(said(&mut known, now), [line("203.0.113.7", 2, 6000)]);
    known.take_in(
        Pull::Changes,
        lists(vec![ban("203.0.113.7", 4, 60)], vec![]),
        now,
    );
    assert!(said(&mut known, now).is_empty());
    // Deleting the longer of two sends nothing: the next list of everything shows it.
    known.take_in(
        Pull::All,
        lists(vec![ban("203.0.113.7", 3, 600)], vec![]),
        now,
    );
    assert_eq!(said(&mut known, now), [line("203.0.113.7", 3, 600)]);
}

#[test]
fn long_ones_are_said_for_seven_days_and_again_when_half_is_over() {
    let (mut known, now) = (Known::default(), Instant::now());
    known.take_in(
        Pull::All,
        lists(vec![ban("203.0.113.7", 5, 30 * DAY)], vec![]),
        now,
    );
    assert_eq!(
        said(&mut known, now),
        [line("203.0.113.7", 5, MOST_SECONDS)]
    );
    let day = |days: u64| now + Duration::from_secs(days * DAY);
    known.take_in(Pull::Changes, lists(vec![], vec![]), day(3));
    assert!(said(&mut known, day(3)).is_empty());
    known.take_in(Pull::Changes, lists(vec![], vec![]), day(4));
    assert_eq!(
        said(&mut known, day(4)),
        [line("203.0.113.7", 5, MOST_SECONDS)]
    );
    known.take_in(Pull::Changes, lists(vec![], vec![]), day(29));
    assert_eq!(
        said(&mut known, day(29)),
        [line("203.0.113.7", 5, DAY as u32)]
    );
    known.take_in(
        Pull::All,
        lists(vec![ban("203.0.113.8", 6, u64::MAX)], vec![]),
        now,
    );
}

#[test]
fn what_the_daemon_has_not_taken_is_said_again() {
    let (mut known, now) = (Known::default(), Instant::now());
    let two = vec![ban("203.0.113.7", 5, 600), ban("203.0.113.8", 6, 600)];
    known.take_in(Pull::All, lists(two, vec![]), now);
    said(&mut known, now);
    known.take_in(
        Pull::Changes,
        lists(vec![], vec![ban("203.0.113.7", 5, 0)]),
        now,
    );
    let records = known.next_records(200, now);
    known.give_back(&records);
    let again = [line("203.0.113.7", 5, 0), line("203.0.113.8", 6, 600)];
    assert_eq!(said(&mut known, now), again);
    known.say_all();
    assert_eq!(said(&mut known, now), [line("203.0.113.8", 6, 600)]);
}

#[test]
fn what_was_never_said_needs_no_lifting() {
    let (mut known, now) = (Known::default(), Instant::now());
    known.take_in(
        Pull::All,
        lists(vec![ban("203.0.113.7", 5, 600)], vec![]),
        now,
    );
    known.take_in(
        Pull::Changes,
        lists(vec![], vec![ban("203.0.113.7", 5, 0)]),
        now,
    );
    assert!(said(&mut known, now).is_empty());
}

#[test]
fn other_scopes_are_counted_and_there_are_few_names() {
    let (mut known, now) = (Known::default(), Instant::now());
    let other = |name: &str| Listed::Other(name.to_owned());
    let new = vec![other("country"), other("country"), other("as")];
    known.take_in(Pull::All, lists(new, vec![]), now);
    known.take_in(Pull::Changes, lists(vec![], vec![other("as")]), now);
    assert_eq!(known.skipped(), [("country".to_owned(), 2)]);
    let many = (0..1000).map(|number| other(&format!("scope-{number}")));
    known.take_in(Pull::All, lists(many.collect(), vec![]), now);
    assert!(known.skipped().len() <= MOST_NAMES + 1);
    assert!(known.skipped().contains(&("others".to_owned(), 984)));
}
