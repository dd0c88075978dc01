//! Dates are found where fail2ban finds them, and the short way to the most frequent ones finds the same.

use proptest::prelude::*;

use super::*;

const NOW_MS: i64 = 1_755_165_600_000;

fn detector(patterns: &[&str]) -> Detector {
    let patterns: Vec<String> = patterns
        .iter()
        .map(|pattern| (*pattern).to_owned())
        .collect();
    Detector::new(&patterns, TimeZone::UTC).unwrap()
}

#[test]
fn what_is_cut_out_is_the_date_and_nothing_else() {
    for (patterns, line, date, time) in [
        (
            &[][..],
            "Aug 14 10:00:00 srv x",
            Some("Aug 14 10:00:00"),
            Some(NOW_MS),
        ),
        (
            &[],
            "[Thu Aug 14 10:00:00.123456 2025] [x]",
            Some("Thu Aug 14 10:00:00.123456 2025"),
            Some(NOW_MS),
        ),
        (
            &[],
            "1.2.3.4 - - [14/Aug/2025:12:00:00 +0200] x",
            Some("14/Aug/2025:12:00:00 +0200"),
            Some(NOW_MS),
        ),
        (
            &[],
            "2025-08-14T10:00:00.5Z x",
            Some("2025-08-14T10:00:00.5Z"),
            Some(NOW_MS),
        ),
        (
            &[],
            "2025/08/14 10:00:00 [error]",
            Some("2025/08/14 10:00:00"),
            Some(NOW_MS),
        ),
        (&[], "2025-08/14 10:00:00 two separators", None, None),
        (&[], "1755165600 x", Some("1755165600"), Some(NOW_MS)),
        (
            &[],
            "type=X msg=audit(1755165600.123:7): y",
            Some("1755165600.123"),
            Some(NOW_MS + 123),
        ),
        (
            &[],
            "@40000000689db6e000000000 x",
            Some("@40000000689db6e000000000"),
            Some(1_755_166_432_000),
        ),
        (&[], "no date at all", None, None),
        (&["{^LN-BEG}"], "x Aug 14 10:00:00", None, None),
        (&["EPOCH"], "Aug 14 10:00:00 x", None, None),
        (
            &["^[^\\[]*\\[({DATE})"],
            "a [14/Aug/2025:10:00:00 +0000] b",
            Some("14/Aug/2025:10:00:00 +0000"),
            Some(NOW_MS),
        ),
        (
            &["^t=%Y-%m-%dT%H:%M:%S%z"],
            "t=2025-08-14T10:00:00+0000 x",
            Some("t=2025-08-14T10:00:00+0000"),
            Some(NOW_MS),
        ),
        (&["^X:()**"], "X: y", Some(""), None),
        (&["{NONE}"], "Aug 14 10:00:00 x", Some(""), None),
        (
            &["%d.%m.%Y %l:%M:%S %p"],
            "at 14.08.2025 10:00:00 AM x",
            Some("14.08.2025 10:00:00 AM"),
            Some(NOW_MS),
        ),
        (
            &["{LEPOCH}"],
            "x 1755165600123 y",
            Some("1755165600123"),
            Some(NOW_MS + 123),
        ),
    ] {
        let detector = detector(patterns);
        let line = Text::of(line);

        let cut = detector.find(line);

        let found = cut.as_ref().map(|cut| &line.text[cut.span.clone()]);
        assert_eq!(found, date, "{patterns:?} {line:?}");
        let at = cut.and_then(|cut| detector.time(line, &cut, NOW_MS));
        assert_eq!(at, time, "{patterns:?} {line:?}");
    }
}

#[test]
fn a_wrong_date_pattern_is_refused() {
    for (pattern, said) in [
        ("%Q", "is not a field"),
        ("(?<=x)%Y", "look"),
        ("(%Y", "unclosed"),
    ] {
        let wrong = Detector::new(&[pattern.to_owned()], TimeZone::UTC).unwrap_err();
        assert!(wrong.to_string().contains(said), "{pattern}: {wrong}");
    }
}

/// A line that begins with something like a date, now and then a right one.
fn line() -> impl Strategy<Value = String> {
    let month = prop_oneof![Just("Aug"), Just("Feb"), Just("aug"), Just("Xyz")];
    let day = prop_oneof![
        Just("14"),
        Just(" 4"),
        Just("04"),
        Just("4"),
        Just("32"),
        Just("30")
    ];
    let clock = prop_oneof![
        4 => Just("10:00:00"), 1 => Just("24:00:00"), 1 => Just("1:00:00"), 1 => Just("10:60:00"),
        1 => Just("10:00:61"), 1 => Just("23:59:60"),
    ];
    let behind = prop_oneof![
        Just(" srv x"),
        Just(" 2025 x"),
        Just(" 2x"),
        Just(".123 x"),
        Just(".1234567 x"),
        Just("Z x"),
        Just("+02:00 x"),
        Just("+0200 x"),
        Just("+02 x"),
        Just("-0700"),
        Just(" Z x"),
        Just(" UTC"),
        Just("  +0200 x"),
        Just(",5Z"),
        Just(""),
        Just(" "),
        Just("x"),
        Just(": x"),
        Just(".5+25:00 x"),
        Just("+020 x"),
        Just(" Ax"),
    ];
    let iso = (
        prop_oneof![Just("2025"), Just("2125"), Just("1999"), Just("205")],
        prop_oneof![
            Just("-08-14"),
            Just("-13-14"),
            Just("/08/14"),
            Just("-8-4"),
            Just("-08-00"),
            Just("-08/14")
        ],
        prop_oneof![Just("T"), Just(" "), Just("  "), Just("t")],
    )
        .prop_map(|(year, date, between)| format!("{year}{date}{between}"));
    let begin = prop_oneof![
        (month, day).prop_map(|(month, day)| format!("{month} {day} ")),
        iso,
    ];
    (begin, clock, behind).prop_map(|(begin, clock, behind)| format!("{begin}{clock}{behind}"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5000))]

    #[test]
    fn the_short_way_finds_what_the_long_way_finds(line in line()) {
        thread_local! {
            static BOTH: [(Detector, Detector); 2] = [&[][..], &["{^LN-BEG}TAI64N", "{^LN-BEG}"]].map(|patterns| {
                let mut long = detector(patterns);
                long.is_frequent = false;
                (detector(patterns), long)
            });
        }
        BOTH.with(|both| {
            for (short, long) in both {
                prop_assert!(short.is_frequent);
                let line = Text::of(&line);
                let (one, other) = (short.find(line), long.find(line));
                prop_assert_eq!(
                    one.as_ref().map(|cut| cut.span.clone()),
                    other.as_ref().map(|cut| cut.span.clone())
                );
                let time = |detector: &Detector, cut: Option<Cut>| detector.time(line, &cut?, NOW_MS);
                prop_assert_eq!(time(short, one), time(long, other));
            }
            Ok(())
        })?;
    }
}
