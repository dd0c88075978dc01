//! The picture of `top`.

use std::{thread, time::Duration};

use super::{Scene, svg};
use crate::lab::Terminal;

const COLUMNS: u16 = 84;
const ROWS: u16 = 15;
/// So long `top` runs before it is pictured: long enough for a course of each port.
const RUN: Duration = Duration::from_secs(45);

/// What `top` shows after some seconds on a terminal, as SVG.
///
/// # Panics
/// When it does not run.
#[must_use]
pub fn top(scene: &Scene) -> String {
    let mut command = scene
        .guard
        .command_behind(&["setsid", "--ctty", "--wait"], &["top"]);
    command
        .env("TERM", "xterm-256color")
        .env("LANG", "C.UTF-8")
        .env_remove("LC_ALL")
        .env_remove("NO_COLOR");
    let mut terminal = Terminal::start(&mut command);
    terminal.resize(COLUMNS, ROWS);
    thread::scope(|scope| {
        scope.spawn(|| scene.visit(RUN));
        // A screen that nobody reads would stop it.
        let mut wave = None;
        for second in 0..RUN.as_secs() {
            if second == RUN.as_secs() / 4 {
                wave = Some(scene.wave());
            } else if second == RUN.as_secs() * 3 / 5 {
                wave.take();
            }
            thread::sleep(Duration::from_secs(1));
            terminal.said();
        }
    });
    let mut parser = vt100::Parser::new(ROWS, COLUMNS, 0);
    parser.process(terminal.bytes());
    let picture = svg::of(
        parser.screen(),
        "guardctl top: ports with packets that passed and that were dropped per second",
    );
    terminal.type_in("q");
    assert_eq!(terminal.ends(), 0, "top");
    picture
}
