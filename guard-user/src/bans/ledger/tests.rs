use super::*;

const WEB: (&str, Source) = ("web/a", Source::Member);

fn prefix(number: u32) -> Prefix {
    Prefix::v4((0x0b00_0000 + number).into(), 32)
}

fn word(number: u32, id: u64, end_ms: u64) -> Word {
    Word {
        prefix: prefix(number),
        id,
        end_ms,
    }
}

fn in_force(ledger: &Ledger, name: &str) -> u64 {
    let all = ledger.summaries();
    all.iter()
        .find(|member| member.name == name)
        .map_or(0, |member| member.in_force)
}

#[test]
fn a_record_that_is_said_again_changes_nothing() {
    let mut ledger = Ledger::default();
    let first = ledger.evaluate(0, WEB, Trust::Full, word(1, 7, 60_000));
    assert_eq!(first, RecordOutcome::Ban);
    for end in [60_000, 59_000, 62_000] {
        let again = ledger.evaluate(1_000, WEB, Trust::Full, word(1, 7, end));
        assert_eq!(again, RecordOutcome::Known, "{end}");
    }
    // Longer, or another ban.
    let longer = ledger.evaluate(1_000, WEB, Trust::Full, word(1, 7, 90_000));
    assert_eq!(longer, RecordOutcome::Ban);
    let other = ledger.evaluate(1_000, WEB, Trust::Full, word(1, 8, 90_000));
    assert_eq!(other, RecordOutcome::Ban);
    assert_eq!(in_force(&ledger, "web/a"), 1);
    ledger.sweep(90_000);
    assert_eq!(in_force(&ledger, "web/a"), 0);
}

#[test]
fn nobody_bans_faster_than_fifty_a_second_after_a_thousand() {
    let mut ledger = Ledger::default();
    let mut banned = 0;
    for number in 0..5_000 {
        match ledger.evaluate(0, WEB, Trust::Full, word(number, 1, 1_000_000)) {
            RecordOutcome::Ban => banned += 1,
            RecordOutcome::Later(seconds) => assert!((1..=60).contains(&seconds)),
            other @ (RecordOutcome::Known | RecordOutcome::Noted | RecordOutcome::Refused(_)) => {
                panic!("{other:?}")
            }
        }
    }
    assert_eq!(banned, BURST);
    let later: Vec<RecordOutcome> = (5_000..5_100)
        .map(|number| ledger.evaluate(1_000, WEB, Trust::Full, word(number, 1, 1_000_000)))
        .collect();
    let banned = later.iter().filter(|later| **later == RecordOutcome::Ban);
    assert_eq!(banned.count() as u32, PER_SECOND);
    // Another member is not slowed down by it.
    let other = ("web/b", Source::Member);
    let free = ledger.evaluate(1_000, other, Trust::Full, word(1, 1, 1_000_000));
    assert_eq!(free, RecordOutcome::Ban);
}

#[test]
fn who_bans_too_many_or_too_wide_is_quarantined() {
    let mut ledger = Ledger::default();
    for number in 0..MOST_LIVE as u32 {
        let now = u64::from(number) * 20;
        let outcome = ledger.evaluate(now, WEB, Trust::Full, word(number, 1, u64::MAX));
        assert_eq!(outcome, RecordOutcome::Ban, "{number}");
    }
    let now = MOST_LIVE as u64 * 20;
    let more = ledger.evaluate(now, WEB, Trust::Full, word(99_999, 1, u64::MAX));
    assert_eq!(more, RecordOutcome::Refused(Refusal::Quarantined));
    assert_eq!(ledger.quarantined().len(), 1);
    for _ in 0..MOST_WIDE {
        assert!(!ledger.quarantined().contains_key("web/b"));
        ledger.refuse("web/b", Refusal::TooWide);
    }
    assert!(ledger.quarantined().contains_key("web/b"));
    assert!(ledger.release("web/b"));
    ledger.refuse("web/b", Refusal::TooWide);
    assert!(!ledger.quarantined().contains_key("web/b"));
    assert!(!ledger.release("web/b"));
}

#[test]
fn a_quorum_is_of_distinct_hosts_of_one_group() {
    let mut ledger = Ledger::default();
    let trust = Trust::Quorum(3);
    let mut say =
        |name: &str, id| ledger.evaluate(0, (name, Source::Member), trust, word(1, id, 9_000));
    assert_eq!(say("web/a", 1), RecordOutcome::Noted);
    assert_eq!(say("web/a", 2), RecordOutcome::Noted, "one host twice");
    assert_eq!(say("db/a", 1), RecordOutcome::Noted, "another group");
    assert_eq!(say("web/b", 1), RecordOutcome::Noted);
    assert_eq!(say("web/c", 1), RecordOutcome::Ban);
    let also = ledger.agreeing(0, "web/c", prefix(1));
    let names: Vec<&str> = also.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["web/a", "web/b"]);
    assert!(ledger.agreeing(0, "web/c", prefix(1)).is_empty(), "once");
}

#[test]
fn words_that_have_ended_or_come_from_the_quarantined_make_no_quorum() {
    let mut ledger = Ledger::default();
    let trust = Trust::Quorum(2);
    let outcome = ledger.evaluate(0, WEB, trust, word(1, 1, 1_000));
    assert_eq!(outcome, RecordOutcome::Noted);
    let other = ("web/b", Source::Member);
    let outcome = ledger.evaluate(1_000, other, trust, word(1, 1, 9_000));
    assert_eq!(outcome, RecordOutcome::Noted, "the first has ended");
    ledger.quarantine("web/b", "by hand");
    let outcome = ledger.evaluate(1_000, WEB, trust, word(1, 2, 9_000));
    assert_eq!(outcome, RecordOutcome::Noted, "the second is quarantined");
}

#[test]
fn what_was_lifted_stays_so_until_it_is_another_ban() {
    let mut ledger = Ledger::default();
    let outcome = ledger.evaluate(0, WEB, Trust::Full, word(1, 7, 60_000));
    assert_eq!(outcome, RecordOutcome::Ban);
    ledger.lift("lift", prefix(1));
    let again = ledger.evaluate(0, WEB, Trust::Full, word(1, 7, 60_000));
    assert_eq!(again, RecordOutcome::Refused(Refusal::LiftedHere));
    let other = ledger.evaluate(0, WEB, Trust::Full, word(1, 8, 60_000));
    assert_eq!(other, RecordOutcome::Ban);
}

#[test]
fn who_watches_bans_nobody_and_takes_up_trust_when_it_is_given() {
    let mut ledger = Ledger::default();
    let outcome = ledger.evaluate(0, WEB, Trust::Watch, word(1, 7, 60_000));
    assert_eq!(outcome, RecordOutcome::Noted);
    assert_eq!(in_force(&ledger, "web/a"), 0);
    let outcome = ledger.evaluate(0, WEB, Trust::Full, word(1, 7, 60_000));
    assert_eq!(outcome, RecordOutcome::Ban);
}

#[test]
fn the_number_of_members_is_bounded() {
    let mut ledger = Ledger::default();
    for number in 0..MOST_MEMBERS {
        let name = format!("web/h{number}");
        let outcome = ledger.evaluate(0, (&name, Source::Member), Trust::Full, word(1, 1, 9_000));
        assert_eq!(outcome, RecordOutcome::Ban);
    }
    let outcome = ledger.evaluate(0, ("web/x", Source::Member), Trust::Full, word(1, 1, 9_000));
    assert_eq!(outcome, RecordOutcome::Refused(Refusal::TooManyMembers));
    ledger.refuse("web/y", Refusal::TooWide);
    assert_eq!(ledger.summaries().len(), MOST_MEMBERS);
}
