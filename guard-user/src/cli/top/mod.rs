//! `top`: what happens at this moment, on a screen of its own.

mod app;
mod draw;
mod figures;
mod keys;
mod order;
mod screen;
mod table;
mod view;

use std::{
    env, thread,
    time::{Duration, Instant},
};

use clap::Args as Group;
use ratatui::{buffer::Buffer, layout::Rect};
use serde_json::json;
use thiserror::Error;

use super::{context::Context, watch::Signals};
use crate::{
    failure::{Exit, Failure, from_io},
    live::{Live, Rates},
    text::duration,
};
use app::{App, Dialog, Request};
use draw::Palette;
use screen::{Screen, Typed};
use view::View;

/// How often there is a look at keys, and at what was reported.
const LOOK: Duration = Duration::from_millis(50);
/// Between two frames, unless the operator says otherwise.
const INTERVAL: Duration = Duration::from_secs(1);
const SHORTEST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(3600);
/// The page that `--once` prints.
const PAGE: (u16, u16) = (80, 24);

/// Below `top --help`.
pub(super) const HELP: &str = "\
Keys: Tab or 1-4 change the table, s sorts by another column, r reverses, / filters, p or space pauses, j and k or the \
arrows select, b bans the selected source and a lets it in (both show the command and ask), ? shows the keys, q ends it.

It works without the daemon. Sources and the main reason of a port come from a sample of the packets that are dropped, \
scaled by the counters; so top counts as one of the four that may watch. The share of the CPU is what the kernel measures of its \
programs, which it does while top runs.

Examples: top    top --view sources    top --once    top --once --json    top --interval 5s";

#[derive(Clone, Debug, Group)]
pub(super) struct TopArgs {
    /// Print one frame as text, after a second of measuring, and end; needs no terminal
    #[arg(long)]
    once: bool,
    /// The table to begin with
    #[arg(long, value_enum, value_name = "TABLE", default_value = "ports")]
    view: View,
    /// Time between two frames: 1s, 500ms, 10s
    #[arg(long, value_name = "DURATION", value_parser = interval)]
    interval: Option<Duration>,
}

/// What it says is what to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("from 200ms to 1h: 1s, 500ms, 10s")]
struct NoInterval;

fn interval(text: &str) -> Result<Duration, NoInterval> {
    let interval = duration::parse(text).ok_or(NoInterval)?;
    if (SHORTEST..=LONGEST).contains(&interval) {
        Ok(interval)
    } else {
        Err(NoInterval)
    }
}

pub(super) fn top(context: &mut Context<'_>, args: &TopArgs) -> Result<Exit, Failure> {
    if !args.once && context.global.json {
        return Err(Failure::new(Exit::Usage, "top: a screen is no JSON")
            .help("`guardctl top --once --json`"));
    }
    // Where guard is off, this says so.
    drop(context.controller.traffic()?);
    if args.once {
        return once(context, args);
    }
    run(context, args)
}

/// One frame, or its figures.
fn once(context: &mut Context<'_>, args: &TopArgs) -> Result<Exit, Failure> {
    let length = args.interval.unwrap_or(INTERVAL);
    let mut live = Live::begin(context.controller.clone());
    live.tick()?;
    let begin = Instant::now();
    while begin.elapsed() < length {
        thread::sleep(LOOK.min(length.saturating_sub(begin.elapsed())));
        live.look();
    }
    let rates = live.tick()?.unwrap_or_default();
    context.output.show(
        |out| out.write_all(page(&rates, args.view).as_bytes()),
        || json!(rates),
    );
    Ok(Exit::Ok)
}

/// The frame as text, without the line of keys.
fn page(rates: &Rates, view: View) -> String {
    let mut app = App::new(view, screen::glyphs());
    app.update(rates.clone());
    let area = Rect::new(0, 0, PAGE.0, PAGE.1);
    let mut buffer = Buffer::empty(area);
    draw::draw(&app, Palette::Plain, area, &mut buffer);
    let has_notes = !rates.notes.is_empty();
    let mut lines = lines(&buffer);
    if !has_notes {
        lines.pop();
    }
    let end = lines.iter().rposition(|line| !line.is_empty());
    lines.truncate(end.map_or(0, |end| end + 1));
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// What a buffer shows, line by line, without the blanks at their ends.
fn lines(buffer: &Buffer) -> Vec<String> {
    let area = buffer.area;
    let rows = area.top()..area.bottom();
    rows.map(|y| {
        let mut line = String::new();
        for x in area.left()..area.right() {
            line.push_str(buffer[(x, y)].symbol());
        }
        line.truncate(line.trim_end().len());
        line
    })
    .collect()
}

fn run(context: &mut Context<'_>, args: &TopArgs) -> Result<Exit, Failure> {
    let interval = args.interval.unwrap_or(INTERVAL);
    let palette = match env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()) {
        true => Palette::Plain,
        false => Palette::Colours,
    };
    let signals = Signals::block().map_err(|error| from_io("cannot wait for signals", &error))?;
    let mut screen = Screen::take()?;
    let mut live = Live::begin(context.controller.clone());
    let mut app = App::new(args.view, screen::glyphs());
    let mut next = Instant::now();
    loop {
        let mut is_new = screen.is_resized();
        if Instant::now() >= next {
            // The first rates come soon: nobody likes to wait for a whole interval.
            let pause = match app.has_rates {
                true => interval,
                false => interval.min(INTERVAL),
            };
            next = Instant::now() + pause;
            if let Some(rates) = live.tick()? {
                app.update(rates);
            }
            is_new = true;
        }
        let wait = LOOK.min(next.saturating_duration_since(Instant::now()));
        match screen.typed(wait) {
            Typed::Nothing => {}
            Typed::Gone => return Ok(Exit::Ok),
            Typed::Key(key) => {
                is_new = true;
                match app.key(key) {
                    None => {}
                    Some(Request::Quit) => return Ok(Exit::Ok),
                    Some(Request::Run(command)) => {
                        let said = command.run(context.controller, context.global);
                        app.dialog = Dialog::Answer(match said {
                            Ok(said) => said,
                            Err(failure) => failure.to_string(),
                        });
                        live.bans_have_changed();
                    }
                }
            }
        }
        live.look();
        if is_new
            && !screen.draw(|frame| draw::draw(&app, palette, frame.area(), frame.buffer_mut()))
        {
            return Ok(Exit::Ok);
        }
        if signals.wait(Duration::ZERO) {
            return Ok(Exit::Ok);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_is_bounded() {
        assert_eq!(interval("1s"), Ok(Duration::from_secs(1)));
        assert_eq!(interval("500ms"), Ok(Duration::from_millis(500)));
        for wrong in ["", "0", "100ms", "2h", "soon", "-1"] {
            assert_eq!(interval(wrong), Err(NoInterval), "{wrong}");
        }
    }
}
