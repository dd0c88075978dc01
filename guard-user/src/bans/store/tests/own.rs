use super::*;
use crate::bans::store::OwnPage;

/// An empty store, and its folder.
fn opened(name: &str) -> (Folder, Store) {
    let folder = Folder::new(name);
    let opened = Store::open(&folder.file(), &folder.copy(), &at(0)).expect("opened");
    (folder, opened.store)
}

/// Bans in somebody's name, and notes what is this host's own, as a session does.
fn ban(store: &Store, now: &Now, origin: &BanOrigin, text: &str, term: BanTerm) {
    store
        .change(now, |change| {
            let number = change.origin(origin)?;
            change.add(prefix(text), number, term, "because")?;
            if origin.is_own() {
                change.note_own(&[prefix(text)])?;
            }
            Ok(())
        })
        .expect("banned");
}

fn lift(store: &Store, now: &Now, origin: &BanOrigin, text: &str) {
    store
        .change(now, |change| {
            let number = change.origin(origin)?;
            change.remove(prefix(text), number)?;
            change.note_own(&[prefix(text)])?;
            Ok(())
        })
        .expect("lifted");
}

fn texts(page: &OwnPage) -> Vec<String> {
    let shown = page.rows.iter().map(|row| match &row.ban {
        Some(ban) => format!("{} {}", row.prefix, ban.origin),
        None => format!("{} lifted", row.prefix),
    });
    shown.collect()
}

fn jail() -> BanOrigin {
    BanOrigin::Jail("sshd".to_owned())
}

#[test]
fn only_own_bans_are_handed_on_each_prefix_once_with_the_longest_end() {
    let (_folder, store) = opened("own-whole");
    let now = at(0);
    ban(&store, &now, &jail(), "11.0.0.1/32", seconds(60));
    ban(
        &store,
        &now,
        &BanOrigin::Operator,
        "11.0.0.1/32",
        seconds(600),
    );
    ban(
        &store,
        &now,
        &BanOrigin::Operator,
        "11.0.0.2/32",
        seconds(60),
    );
    for received in [
        BanOrigin::Fleet("web/b".to_owned()),
        BanOrigin::Crowdsec,
        BanOrigin::Feed("drop".to_owned()),
    ] {
        ban(&store, &now, &received, "11.0.0.3/32", BanTerm::Permanent);
        ban(&store, &now, &received, "11.0.0.1/32", BanTerm::Permanent);
    }
    let page = store.own(&now, None, None, 100).expect("read");
    assert!(page.is_whole && !page.has_more);
    assert_eq!(texts(&page), ["11.0.0.1 operator", "11.0.0.2 operator"]);
    // Page by page the same, and what has ended is not there.
    let first = store.own(&now, None, None, 1).expect("read");
    assert_eq!(texts(&first), ["11.0.0.1 operator"]);
    let second = store.own(&now, None, first.next, 1).expect("read");
    assert_eq!(texts(&second), ["11.0.0.2 operator"]);
    assert!(!second.has_more);
    let later = store.own(&at(61_000), None, None, 100).expect("read");
    assert_eq!(texts(&later), ["11.0.0.1 operator"]);
}

#[test]
fn whoever_knows_a_state_is_handed_what_changed_since() {
    let (_folder, store) = opened("own-since");
    let now = at(0);
    ban(&store, &now, &jail(), "11.0.0.1/32", seconds(60));
    let known = store.own(&now, None, None, 100).expect("read");
    let since = |page: &OwnPage, most| {
        let known = Some((page.epoch.as_str(), page.revision));
        store.own(&now, known, None, most).expect("read")
    };
    let none = since(&known, 100);
    assert!(!none.is_whole && none.rows.is_empty());
    assert_eq!(none.revision, known.revision);
    ban(&store, &now, &jail(), "11.0.0.2/32", seconds(60));
    lift(&store, &now, &jail(), "11.0.0.1/32");
    ban(
        &store,
        &now,
        &BanOrigin::Crowdsec,
        "11.0.0.9/32",
        seconds(60),
    );
    let changed = since(&known, 100);
    assert!(!changed.is_whole);
    assert_eq!(texts(&changed), ["11.0.0.2 jail sshd", "11.0.0.1 lifted"]);
    // A part of it leads on to the rest.
    let part = since(&known, 1);
    assert!(part.has_more);
    assert_eq!(texts(&part), ["11.0.0.2 jail sshd"]);
    assert_eq!(texts(&since(&part, 1)), ["11.0.0.1 lifted"]);
    // A prefix that changes again is there once, as it is now.
    ban(&store, &now, &jail(), "11.0.0.1/32", seconds(60));
    let changed = since(&known, 100);
    assert_eq!(
        texts(&changed),
        ["11.0.0.2 jail sshd", "11.0.0.1 jail sshd"]
    );
}

#[test]
fn a_state_of_another_store_or_of_long_ago_is_answered_with_everything() {
    let (_folder, store) = opened("own-epoch");
    let now = at(0);
    ban(&store, &now, &jail(), "11.0.0.1/32", seconds(60));
    let known = store.own(&now, None, None, 100).expect("read");
    for (epoch, revision) in [("another", known.revision), (known.epoch.as_str(), 99)] {
        let page = store.own(&now, Some((epoch, revision)), None, 100);
        assert!(page.expect("read").is_whole, "{epoch} {revision}");
    }
    store.renew_own(&at(5)).expect("renewed");
    let since = Some((known.epoch.as_str(), known.revision));
    assert!(store.own(&now, since, None, 100).expect("read").is_whole);
    // More changes than are remembered: an import.
    let known = store.own(&now, None, None, 100).expect("read");
    let many: Vec<Prefix> = (0..20_001u32)
        .map(|number| Prefix::v4((0x0b01_0000 + number).into(), 32))
        .collect();
    store
        .change(&now, |change| Ok(change.note_own(&many)?))
        .expect("noted");
    let since = Some((known.epoch.as_str(), known.revision));
    assert!(store.own(&now, since, None, 100).expect("read").is_whole);
    // One by one, the oldest is forgotten.
    let known = store.own(&now, None, None, 100).expect("read");
    for part in many.chunks(7_000) {
        store
            .change(&now, |change| Ok(change.note_own(part)?))
            .expect("noted");
    }
    let since = Some((known.epoch.as_str(), known.revision));
    assert!(store.own(&now, since, None, 100).expect("read").is_whole);
    let newer = Some((known.epoch.as_str(), known.revision + 1_000));
    assert!(!store.own(&now, newer, None, 100).expect("read").is_whole);
}

#[test]
fn what_an_operator_lifts_stays_lifted_until_its_member_bans_again() {
    let (_folder, store) = opened("waivers");
    let now = at(0);
    let source = prefix("11.0.0.1/32");
    let waived = |known, id| {
        store
            .change(&now, |change| Ok(change.is_waived(source, 3, known, id)?))
            .expect("read")
    };
    let waive = || {
        store
            .change(&now, |change| Ok(change.waive(source, 3)?))
            .expect("waived");
    };
    assert!(!waived(None, 7));
    // Nobody remembers which ban it was: the next that is heard of is it.
    waive();
    assert!(waived(None, 7));
    assert!(waived(None, 7));
    assert!(!waived(None, 8), "another ban");
    assert!(!waived(None, 7), "the waiver is used up");
    // It is remembered, and the next is another.
    waive();
    assert!(!waived(Some(7), 8));
    waive();
    assert!(waived(Some(7), 7));
    let is_new = |id| {
        store
            .change(&now, |change| Ok(change.is_new_lift(source, id)?))
            .expect("read")
    };
    assert!(is_new(1) && !is_new(1) && is_new(2));
}

#[test]
fn members_of_whom_nothing_is_kept_leave_the_store() {
    let (_folder, store) = opened("own-members");
    let now = at(0);
    let member = |n: u32| BanOrigin::Fleet(format!("web/h{n}"));
    ban(&store, &now, &jail(), "11.0.0.9/32", seconds(600));
    ban(&store, &now, &member(0), "11.0.0.1/32", seconds(600));
    let waived = |change: &mut Change<'_>| change.origin(&member(1));
    let number = store
        .change(&now, |change| {
            let number = waived(change)?;
            change.waive(prefix("11.0.0.2/32"), number)?;
            Ok(number)
        })
        .expect("waived");
    for n in 2..2_000 {
        store
            .change(&now, |change| Ok(change.origin(&member(n))?))
            .expect("a number");
    }
    let read = store.database.begin_read().expect("a look");
    let origins = read_origins(&read.open_table(ORIGINS).expect("a table")).expect("origins");
    drop(read);
    assert!(origins.len() <= 600, "{}", origins.len());
    let names: Vec<&str> = origins.values().map(String::as_str).collect();
    assert!(names.contains(&"fleet web/h0") && names.contains(&"jail sshd"));
    // Whose word is waived keeps its number.
    let kept = store
        .change(&now, |change| Ok(change.origin(&member(1))?))
        .expect("a number");
    assert_eq!(kept, number);
    assert!(names.contains(&"fleet web/h1999"));
}
