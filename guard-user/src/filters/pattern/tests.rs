//! Patterns match what Python's engine matches, and what they must not take forever over they refuse.

use super::{matcher::TooLong, *};

fn expression(text: &str) -> Expression {
    Expression {
        text: text.to_owned(),
        option: "failregex",
        number: 1,
        place: None,
    }
}

fn group(pattern: &str, text: &str, name: &str) -> Option<String> {
    let pattern = Pattern::new(&expression(pattern), Lines::One).unwrap();
    let mut spans = Spans::default();
    if !pattern.matcher.find(Text::of(text), &mut spans).unwrap() {
        return None;
    }
    let group = pattern.matcher.group(name).unwrap();
    spans
        .get(group)
        .map(|(start, end)| text[start..end].to_owned())
}

#[test]
fn hosts_are_cut_out_of_what_stands_around_them() {
    for (pattern, text, name, found) in [
        ("from <HOST>$", "from 192.0.2.7", "ip4", Some("192.0.2.7")),
        (
            "from <HOST>$",
            "from ::ffff:192.0.2.7",
            "ip4",
            Some("192.0.2.7"),
        ),
        (
            "from <HOST>:\\d+$",
            "from [2001:db8::1]:22",
            "ip6",
            Some("2001:db8::1"),
        ),
        ("from <HOST>$", "from fe80::", "ip6", Some("fe80::")),
        (
            "from <HOST>$",
            "from host.example",
            "dns",
            Some("host.example"),
        ),
        ("from <ADDR>$", "from host.example", "ip4", None),
        ("net <SUBNET>$", "net 10.0.0.0/8", "cidr", Some("8")),
        (
            "<F-USER>.*?</F-USER> from <HOST>",
            "a from b from 192.0.2.1",
            "user",
            Some("a"),
        ),
    ] {
        assert_eq!(
            group(pattern, text, name).as_deref(),
            found,
            "{pattern} on {text}"
        );
    }
}

#[test]
fn what_python_and_rust_write_differently_means_what_python_means() {
    for (pattern, text, user) in [
        ("^<F-USER>[^[]*</F-USER>\\[", "ab[1", "ab"),
        ("^<F-USER>[a&&b]+</F-USER>$", "a&b", "a&b"),
        ("^<F-USER>[]x]+</F-USER>$", "]x", "]x"),
        ("^\\<<F-USER>\\w+</F-USER>\\>$", "<ab>", "ab"),
        ("^<F-USER>a{,2}{</F-USER>$", "aa{", "aa{"),
        ("^<F-USER>((?i)LOGIN|plain)</F-USER>$", "login", "login"),
        ("^(?P<c>x )?<F-USER>(?(c)a|b)</F-USER>$", "x a", "a"),
        ("^(?P<c>x )?<F-USER>(?(c)a|b)</F-USER>$", "b", "b"),
        ("^(?P<q>['\"])<F-USER>.*?</F-USER>(?P=q)$", "'a\"b'", "a\"b"),
        (
            "^<F-USER>(?:(?! from ).)*</F-USER> from",
            "a b from c from d",
            "a b",
        ),
        ("^<F-USER>\\S+</F-USER> \\u0041\\x42$", "ü AB", "ü"),
        ("^<F-USER>\\w+</F-USER>\\/\\@\\ x$", "ë/@ x", "ë"),
    ] {
        let pattern = format!("{pattern}(?:<HOST>)?");
        let pattern = pattern.replace("$(?:<HOST>)?", "(?:<HOST>)?$");
        assert_eq!(
            group(&pattern, text, "user").as_deref(),
            Some(user),
            "{pattern} on {text}"
        );
    }
}

#[test]
fn an_outline_matches_whatever_its_pattern_matches() {
    let text = Text::of("host sshd[7]: Failed x for a b from 192.0.2.1 port 2");
    for pattern in [
        "^\\S+ sshd\\[\\d+\\]: Failed \\S+ for <F-USER>(?:(?! from ).)*</F-USER> from <HOST>",
        "\\bFailed (?P<c>\\S+) (?!of)for .* (?(c)port|x) 2$",
        "(?<=Failed )x",
    ] {
        let pattern = Pattern::new(&expression(pattern), Lines::One).unwrap();
        let patterns = [pattern];
        let outlines = Outlines::of(&patterns, Lines::One);
        let mut set = outlines.empty();
        outlines.candidates(text, &mut set);

        assert!(
            patterns[0]
                .matcher
                .find(text, &mut Spans::default())
                .unwrap()
        );
        assert_eq!(set.len(), 1, "{outlines:?}");
    }
}

#[test]
fn broken_and_exponential_patterns_are_refused_and_said_where() {
    for (pattern, said) in [
        ("from (<HOST>", "not closed"),
        ("from <HOST>)", "closes nothing"),
        ("[a<HOST>", "inside brackets"),
        ("*<HOST>", "nothing to repeat"),
        ("<HOST>\\q", "means nothing"),
        ("<HOST>(?P<a-b>x)", "not a name for a group"),
        ("<HOST> <HOST>", "duplicate"),
        ("<HOST>(?!x)(a+)+$", "takes forever"),
        ("<HOST>(?:(?:a{1000}){1000}){1000}", "bytes when compiled"),
        ("<HOST>[z-a]", "range"),
    ] {
        let problem = Pattern::new(&expression(pattern), Lines::One).unwrap_err();

        let message = problem.to_string();
        assert!(message.contains(said), "{pattern}: {message}");
    }
}

#[test]
fn a_line_that_takes_forever_is_given_up_and_is_no_match() {
    let pattern = Pattern::new(
        &expression("^(?:(\\w)(?!\\1\\1)|\\w\\w?)*!<HOST>$"),
        Lines::One,
    )
    .unwrap();
    let line = "ab".repeat(40_000);

    let found = pattern.matcher.find(Text::of(&line), &mut Spans::default());

    assert_eq!(found, Err(TooLong));
}

/// Letters at random, of which a pattern like `a[ab]{300}c` makes as many states at once as it has.
fn hostile_line() -> String {
    let mut seed = 12345u32;
    let letters = (0..1 << 16).map(|_| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        if seed >> 31 == 0 { 'a' } else { 'b' }
    });
    letters.collect()
}

/// What this thread has computed so far, however busy the machine is.
fn own_time() -> std::time::Duration {
    use nix::time::{ClockId, clock_gettime};
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID);
    time.expect("a clock").into()
}

#[test]
fn whatever_pattern_and_line_somebody_writes_a_look_ends_within_seconds() {
    let line = hostile_line();
    for pattern in [
        "^[ab]*a[ab]{300}c <HOST>$",
        "^[ab]*a[ab]{3000}c <HOST>$",
        "[ab]*a[ab]{10000}c <HOST>$",
        "^(?:[ab]?){3000}c<HOST>",
        "a.{500}b.{500}c <HOST>",
        "^\\S*a[\\w.]{20}c <HOST>$",
        "(?!x)[ab]*a[ab]{300}c<HOST>",
        "(?<!x)[ab]*(?=[ab]*c)(?=[ab]*d)<HOST>",
        "(?<!x)[ab]*c<HOST>",
    ] {
        let pattern_of = |lines| Pattern::new(&expression(pattern), lines);
        for lines in [Lines::One, Lines::Several] {
            let found = pattern_of(lines).unwrap_or_else(|why| panic!("{pattern}: {why}"));
            let outlines = Outlines::of(std::slice::from_ref(&found), lines);
            for text in [line.clone(), format!("\u{fc}{line}")] {
                let begun = own_time();
                outlines.candidates(Text::of(&text), &mut outlines.empty());
                let matched = found.matcher.find(Text::of(&text), &mut Spans::default());
                assert_ne!(matched, Ok(true));
                let took = own_time() - begun;
                println!("{pattern} {lines:?}: {matched:?}, {took:?}");
                assert!(took.as_secs() < 10, "{pattern}: {took:?}");
            }
        }
    }
}
