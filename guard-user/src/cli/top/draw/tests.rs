use guard_common::abi::service::Service;
use ratatui::{Terminal, backend::TestBackend};

use super::*;
use crate::{
    cli::top::{app::Request, figures::Glyphs, keys::Key, lines, order::Command},
    live::{
        BanLeft, BansNow, Connections, CpuShare, History, InterfaceState, PendingChange, PortRates,
        Rate, Rates, ReasonRates, SourceRates, SourceState, Totals,
    },
};

fn rate(packets: f64) -> Rate {
    Rate {
        packets,
        bits: packets * 500.0,
    }
}

fn port(number: u16, name: &str, passed: f64, dropped: f64) -> PortRates {
    PortRates {
        service: Service::tcp(number),
        label: format!("{number}/tcp"),
        protocol: Some("tcp"),
        port: Some(number),
        name: Some(name.to_owned()),
        passed: rate(passed),
        dropped: rate(dropped),
        monitored: Rate::default(),
        main_reason: (dropped > 0.0).then_some("default-drop"),
        history: History {
            passed: vec![passed as u64; 60],
            dropped: vec![dropped as u64; 60],
        },
    }
}

fn source(text: &str, packets: f64, state: SourceState) -> SourceRates {
    SourceRates {
        source: text.to_owned(),
        packets,
        service: Some("22/tcp".to_owned()),
        reason: "default-drop",
        state,
        seconds_left: (state == SourceState::Banned).then_some(754),
    }
}

fn rates() -> Rates {
    let interface = |name: &str, mode, protected| InterfaceState {
        name: name.to_owned(),
        mode,
        protected,
        fault: None,
        received: Rate::default(),
    };
    Rates {
        at: 1,
        seconds: 1.0,
        active: true,
        generation: 7,
        pending: None,
        interfaces: vec![
            interface("eth0", "native", true),
            interface("eth1", "off", false),
        ],
        totals: Totals {
            passed: rate(1200.0),
            dropped: rate(40_100.0),
            ..Totals::default()
        },
        connections: Connections {
            incoming: 3.0,
            outgoing: 0.5,
            ..Connections::default()
        },
        cpu: Some(CpuShare {
            share: 0.004,
            nanoseconds: 35.2,
        }),
        ports: vec![
            port(443, "https", 1200.0, 100.0),
            port(22, "ssh", 0.0, 40_000.0),
        ],
        reasons: vec![ReasonRates {
            reason: "default-drop",
            action: "drop",
            counted: rate(40_100.0),
            monitored: Rate::default(),
            total: 123_456,
        }],
        sources: vec![
            source("203.0.113.7", 39_000.0, SourceState::Free),
            source("2001:db8:1:2::/64", 12.0, SourceState::Banned),
        ],
        bans: BansNow {
            number: 1234,
            soonest: vec![BanLeft {
                source: "198.51.100.0/24".to_owned(),
                seconds_left: Some(61),
                origin: "jail sshd".to_owned(),
                reason: "\u{1b}[31mred\u{7}".to_owned(),
            }],
        },
        notes: Vec::new(),
    }
}

fn app(view: View) -> App {
    let mut app = App::new(view, Glyphs::Ascii);
    app.update(rates());
    app
}

fn frame(app: &App, width: u16, height: u16) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a terminal");
    terminal
        .draw(|frame| draw(app, Palette::Plain, frame.area(), frame.buffer_mut()))
        .expect("drawn");
    lines(terminal.backend().buffer())
}

fn press(app: &mut App, keys: &str) -> Option<Request> {
    keys.chars().fold(None, |_, key| app.key(Key::Char(key)))
}

#[test]
fn eighty_columns_show_header_ports_and_keys() {
    let frame = frame(&app(View::Ports), 80, 24);
    assert_eq!(frame.len(), 24);
    assert_eq!(
        frame[0],
        "guard  generation 7  eth0 native  eth1 OFF  cpu 0.4% 35 ns"
    );
    assert_eq!(frame[1], "passed 1200/s  dropped 40.1k/s  answered 0/s");
    assert_eq!(
        frame[2],
        "new in 3/s  out 0.5/s  cookies 0/s  out of state 0/s"
    );
    assert_eq!(
        frame[3],
        "1 ports 2  2 reasons 1  3 sources 2  4 bans 1234  by dropped"
    );
    assert_eq!(
        frame[4],
        "PORT       NAME      PASSED/s  bit/s DROPPED/s  bit/s LAST MINUTE  REASON"
    );
    assert_eq!(
        frame[5],
        "22/tcp     ssh              0      0     40.0k  20.0M ############ default-drop"
    );
    assert_eq!(
        frame[6],
        "443/tcp    https         1200   600k       100  50.0k ############ default-drop"
    );
    assert_eq!(frame[23], KEYS);
}

#[test]
fn every_table_has_its_rows() {
    for (view, text) in [
        (View::Reasons, "default-drop"),
        (View::Sources, "2001:db8:1:2::/64"),
        (View::Sources, "banned 12m34s"),
        (View::Bans, "198.51.100.0/24"),
        (View::Bans, "1m01s"),
    ] {
        let frame = frame(&app(view), 80, 24).join("\n");
        assert!(frame.contains(text), "{text}:\n{frame}");
    }
}

#[test]
fn narrow_screens_leave_out_columns_and_too_small_ones_say_so() {
    let narrow = frame(&app(View::Ports), 20, 12);
    assert!(narrow.iter().all(|line| line.chars().count() <= 20));
    let row = narrow.iter().find(|line| line.starts_with("22/tcp"));
    assert_eq!(row.map(String::as_str), Some("22/tcp         40.0k"));
    for (width, height) in [(19, 24), (80, 7), (1, 1)] {
        let small = frame(&app(View::Ports), width, height);
        assert!(
            "too small: 20x8".starts_with(small[0].trim_end_matches('~')),
            "{small:?}"
        );
        assert!(small[1..].iter().all(String::is_empty), "{small:?}");
    }
}

#[test]
fn text_of_others_moves_no_cursor() {
    let mut app = app(View::Bans);
    app.rates.notes = vec!["note \u{1b}]0;title\u{7}".to_owned()];
    let frame = frame(&app, 80, 24).join("\n");
    assert!(
        !frame
            .chars()
            .any(|letter| letter.is_control() && letter != '\n')
    );
    assert!(frame.contains("\\u{1b}[31mred\\u{7}"), "{frame}");
    assert!(frame.contains("note \\u{1b}]0;title"), "{frame}");
}

#[test]
fn a_filter_leaves_what_contains_it_and_says_so() {
    let mut app = app(View::Ports);
    assert_eq!(press(&mut app, "/SSH"), None);
    assert!(frame(&app, 80, 24)[23].starts_with("filter: SSH"));
    app.key(Key::Enter);
    let shown = frame(&app, 80, 24).join("\n");
    assert!(
        shown.contains("22/tcp") && !shown.contains("443/tcp"),
        "{shown}"
    );
    assert!(shown.contains("only rows with \"SSH\""), "{shown}");
    // A q in a filter does not end it.
    app.key(Key::Escape);
    assert_eq!(press(&mut app, "/q"), None);
    app.key(Key::Escape);
    assert_eq!(app.rows().len(), 2);
}

#[test]
fn rows_are_sorted_by_another_column_and_reversed() {
    let mut app = app(View::Ports);
    let first = |app: &App| app.rows()[0].key.clone();
    assert_eq!(first(&app), "22/tcp");
    press(&mut app, "s");
    assert_eq!(first(&app), "443/tcp", "by passed");
    press(&mut app, "r");
    assert_eq!(first(&app), "22/tcp");
    press(&mut app, "s");
    assert_eq!(first(&app), "443/tcp", "by number, reversed");
    press(&mut app, "2");
    assert_eq!(app.view, View::Reasons);
    app.key(Key::Tab);
    app.key(Key::BackTab);
    assert_eq!(app.view, View::Reasons);
}

#[test]
fn the_selection_stays_with_its_row_when_the_order_changes() {
    let mut app = app(View::Sources);
    press(&mut app, "jj");
    let rows = app.rows();
    assert_eq!(app.selected(&rows), Some(1));
    let mut later = rates();
    later.sources[1].packets = 1e6;
    app.update(later);
    let rows = app.rows();
    assert_eq!(app.selected(&rows), Some(0));
    assert_eq!(rows[0].key, "2001:db8:1:2::/64");
}

#[test]
fn a_ban_is_asked_about_with_its_command_and_only_y_runs_it() {
    let mut app = app(View::Sources);
    press(&mut app, "b");
    let asked = frame(&app, 80, 24).join("\n");
    assert!(asked.contains("guardctl ban 203.0.113.7"), "{asked}");
    // New rates come meanwhile; the question stays what it was.
    let mut later = rates();
    later.sources.reverse();
    app.update(later);
    let ban = Command::Ban("203.0.113.7".to_owned());
    assert_eq!(press(&mut app, "y"), Some(Request::Run(ban)));
    for key in [Key::Char('n'), Key::Enter, Key::Escape, Key::Char('q')] {
        press(&mut app, "b");
        assert_eq!(app.key(key), None, "{key:?}");
        assert_eq!(app.dialog, Dialog::None);
    }
    // Where no source is selected, nothing is banned.
    press(&mut app, "1b");
    assert!(matches!(app.dialog, Dialog::Answer(_)));
    assert_eq!(press(&mut app, "y"), None);
}

#[test]
fn a_source_that_is_banned_is_let_in_by_lifting_its_ban() {
    let mut app = app(View::Sources);
    press(&mut app, "jja");
    let unban = Command::Unban("2001:db8:1:2::/64".to_owned());
    assert_eq!(app.dialog, Dialog::Question(unban));
}

#[test]
fn a_paused_screen_stays_and_a_change_that_waits_goes_on() {
    let mut app = app(View::Ports);
    press(&mut app, "p");
    let mut later = rates();
    later.ports.clear();
    later.pending = Some(PendingChange {
        generation: 8,
        seconds_left: 42,
        then: "generation 7 returns".to_owned(),
    });
    app.update(later);
    let shown = frame(&app, 80, 24).join("\n");
    assert!(
        shown.contains("PAUSED") && shown.contains("22/tcp"),
        "{shown}"
    );
    assert!(
        shown.contains("generation 8 is not confirmed: in 42s generation 7 returns"),
        "{shown}"
    );
}

#[test]
fn while_guard_is_off_the_screen_says_so() {
    let mut app = App::new(View::Ports, Glyphs::Unicode);
    assert_eq!(frame(&app, 80, 24)[0], "guard  measuring");
    app.update(Rates::default());
    let shown = frame(&app, 80, 24);
    assert_eq!(shown[0], "guard  OFF  cpu unknown");
}
