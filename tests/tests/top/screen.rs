//! On a terminal: tables of real traffic, keys, sizes, and the end.

use std::{
    thread,
    time::{Duration, Instant},
};

use guard_tests::lab::{Answer, Flood, Rate, Sources, Wire};

use super::scene::{CLOSED, Scene, screen, until_shown};

const SIZE: (u16, u16) = (80, 24);
/// Packets per second of who knocks.
const RATE: u32 = 500;
/// And of a crowd of them.
const FLOOD: u32 = 20_000;

#[test]
fn a_flood_is_seen_and_its_source_is_banned_by_two_keys() {
    let Some(scene) = Scene::new() else { return };
    let (flood, source) = scene.knock(RATE);
    // One address is the beginning of another.
    let begin_of_row = format!("{source} ");
    let mut top = scene.top(&[], SIZE.0, SIZE.1);
    let row = until_shown(&mut top, SIZE, "the port", |line| {
        line.starts_with("22/tcp") && line.contains("default-drop")
    });
    assert!(row.contains("ssh"), "{row}");
    let lines = screen(&mut top, SIZE.0, SIZE.1);
    assert!(lines[0].contains("eth0 native"), "{}", lines[0]);
    assert!(lines[0].contains("ns"), "the kernel measures: {}", lines[0]);
    // At a slow line there is room for it, also in a flood from everywhere: only what has changed is sent.
    let everywhere = scene.lab.forged_syns(CLOSED + 1, Sources::Everywhere);
    let wire = Wire::open(&scene.lab.wan, "srv");
    let crowd = Flood::start(wire, everywhere, Rate::PerSecond(FLOOD));
    let (before, begin) = (top.bytes().len(), Instant::now());
    let ticks = cpu_ticks(top.id());
    thread::sleep(Duration::from_secs(4));
    // A hundredth of a second each: so they are percents of one CPU and second.
    let ticks = (cpu_ticks(top.id()) - ticks) as f64 / begin.elapsed().as_secs_f64();
    println!("{ticks:.1} % of a CPU");
    let bytes = (top.bytes().len() - before) as f64 / begin.elapsed().as_secs_f64();
    println!("{bytes:.0} bytes per second to a terminal of 80x24");
    assert!(bytes < 5000.0, "{bytes} bytes per second");
    drop(crowd);

    top.type_in("3");
    // In the second in which a flood ends, the sample has become denser meanwhile.
    until_shown(&mut top, SIZE, "the source at its rate", |line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let shown = words.get(1).and_then(|number| number.parse().ok());
        words.first() == Some(&source.as_str())
            && shown.is_some_and(|rate: f64| (rate / f64::from(RATE) - 1.0).abs() < 0.15)
    });
    top.type_in("b");
    let command = format!("guardctl ban {source}");
    until_shown(&mut top, SIZE, "the question", |line| {
        line.contains(&command)
    });
    assert_eq!(
        scene.guard.banned(),
        [] as [&str; 0],
        "nothing without an answer"
    );
    top.type_in("y");
    let answer = format!("banned {source} for 1h");
    until_shown(&mut top, SIZE, "the answer", |line| line.contains(&answer));
    assert_eq!(scene.guard.banned(), [source.as_str()]);
    top.type_in(" ");
    until_shown(&mut top, SIZE, "the state", |line| {
        line.starts_with(&begin_of_row) && line.contains("banned")
    });
    top.type_in("4");
    until_shown(&mut top, SIZE, "the ban", |line| {
        line.starts_with(&begin_of_row) && line.contains("59m")
    });
    // It is let in again: first its ban goes, then a rule opens the port to it.
    for (view, command, answer) in [
        ("4", format!("guardctl unban {source}"), "lifted the ban of"),
        (
            "3",
            format!("guardctl allow from {source} to any port 22"),
            "any key goes on",
        ),
    ] {
        top.type_in(view);
        until_shown(&mut top, SIZE, "the source, not banned", |line| {
            let is_free = line.contains("default-drop") && !line.contains("banned");
            line.starts_with(&begin_of_row) && (view == "4" || is_free)
        });
        top.type_in("a");
        until_shown(&mut top, SIZE, &command, |line| line.contains(&command));
        top.type_in("y");
        until_shown(&mut top, SIZE, answer, |line| line.contains(answer));
        top.type_in(" ");
    }
    assert_eq!(scene.guard.banned(), [] as [&str; 0]);
    assert!(
        scene.guard.policy().contains(&source),
        "{}",
        scene.guard.policy()
    );
    assert!(top.is_raw());
    top.type_in("q");
    assert_eq!(top.ends(), 0);
    assert!(
        top.said().contains("\u{1b}[?1049l"),
        "the screen is given back"
    );
    assert!(!top.is_raw(), "the line is given back");
    drop(flood);
}

/// What a process has had of CPUs, itself and for it the kernel.
fn cpu_ticks(process: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).expect("it runs");
    let behind_name = stat.rsplit(')').next().unwrap_or_default();
    let fields = behind_name.split_whitespace().skip(11).take(2);
    fields.filter_map(|field| field.parse::<u64>().ok()).sum()
}

#[test]
fn sources_of_ipv6_are_shown_by_their_network_and_what_is_protected_is_not_banned() {
    let Some(scene) = Scene::new() else { return };
    let (srv, attacker) = (&scene.lab.srv, &scene.lab.attacker);
    let mut top = scene.top(&["--view", "sources"], SIZE.0, SIZE.1);
    until_shown(&mut top, SIZE, "the table", |line| {
        line.starts_with("SOURCE")
    });
    assert_eq!(attacker.ask_tcp(srv.v6, CLOSED), Answer::Silence);
    until_shown(&mut top, SIZE, "the network", |line| {
        line.starts_with("2001:db8:66::/64") && line.contains("default-drop")
    });
    drop(
        scene
            .guard
            .guardctl(&["never", "add", "2001:db8:66::/48"])
            .ok(),
    );
    // Who was there once is soon forgotten.
    assert_eq!(attacker.ask_tcp(srv.v6, CLOSED), Answer::Silence);
    top.type_in("b");
    until_shown(&mut top, SIZE, "the question", |line| {
        line.contains("guardctl ban")
    });
    top.type_in("y");
    until_shown(&mut top, SIZE, "the refusal", |line| line.contains("never"));
    assert_eq!(scene.guard.banned(), [] as [&str; 0]);
    // Ctrl-C.
    top.type_in("\u{3}\u{3}");
    assert_eq!(top.ends(), 0);
}

#[test]
fn without_colour_nothing_has_one() {
    let Some(scene) = Scene::new() else { return };
    let (flood, _) = scene.knock(RATE);
    for (value, is_coloured) in [("", true), ("1", false)] {
        let mut top = scene.top_with(&[], SIZE.0, SIZE.1, &[("NO_COLOR", value)]);
        until_shown(&mut top, SIZE, "the port", |line| {
            line.starts_with("22/tcp")
        });
        let mut parser = vt100::Parser::new(SIZE.1, SIZE.0, 0);
        parser.process(top.bytes());
        let cells = (0..SIZE.1).flat_map(|row| (0..SIZE.0).map(move |column| (row, column)));
        let coloured = cells
            .filter_map(|(row, column)| parser.screen().cell(row, column))
            .filter(|cell| {
                [cell.fgcolor(), cell.bgcolor()] != [vt100::Color::Default, vt100::Color::Default]
            })
            .count();
        assert_eq!(
            coloured > 0,
            is_coloured,
            "{coloured} cells of NO_COLOR={value:?}"
        );
        top.type_in("q");
        assert_eq!(top.ends(), 0);
    }
    drop(flood);
}

#[test]
fn a_screen_of_twenty_columns_a_smaller_one_and_a_closed_one() {
    let Some(scene) = Scene::new() else { return };
    let (flood, _) = scene.knock(RATE);
    let mut top = scene.top(&[], 20, 10);
    until_shown(&mut top, (20, 10), "the port", |line| {
        line.starts_with("22/tcp")
    });
    top.resize(12, 10);
    until_shown(&mut top, (12, 10), "why there is nothing", |line| {
        line.contains("too small")
    });
    // A change that waits has its time on the screen.
    top.resize(80, 24);
    drop(
        scene
            .guard
            .guardctl(&["allow", "81/tcp", "--confirm", "60s"])
            .ok(),
    );
    until_shown(&mut top, SIZE, "the time that is left", |line| {
        line.contains("is not confirmed: in ")
    });
    // The connection is cut: nothing is left behind.
    let signal = top.hang_up();
    assert!(matches!(signal, None | Some(libc::SIGHUP)), "{signal:?}");
    drop(flood);
}
