//! The frame: header, one table, one line of keys or notes. The same for a terminal and for `--once`.

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::{Color, Modifier, Style},
    text::Span,
};

use super::{
    app::{App, Dialog},
    figures::{compact, time},
    table::{Cell, Column, Direction, Side, Tone, columns},
    view::View,
};
use crate::text::value::plain;

/// The smallest screen that shows a table.
pub(super) const LEAST_COLUMNS: u16 = 20;
pub(super) const LEAST_ROWS: u16 = 8;

const KEYS: &str = "q quit  Tab view  s sort  / filter  p pause  b ban  a allow  ? help";
const HELP: &[&str] = &[
    "Tab, 1 2 3 4   ports, reasons, sources, bans",
    "s, r           sort by another column; reverse",
    "/              filter; Esc ends it",
    "p, space       pause",
    "j k, arrows    select",
    "b              ban the selected source (asks)",
    "a              let it in, or lift the ban (asks)",
    "q, Ctrl-C      quit",
    "",
    "Sources and reasons of ports come from a sample",
    "of the packets that are dropped.",
];

/// Colours, or none: then bold, dim and reversed text says the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Palette {
    /// The eight colours that a terminal has for light and for dark.
    Colours,
    /// None.
    Plain,
}

impl Palette {
    fn style(self, tone: Tone) -> Style {
        let style = Style::new();
        match (tone, self) {
            (Tone::Plain, _) => style,
            (Tone::Quiet, _) => style.add_modifier(Modifier::DIM),
            (Tone::Passed, Self::Colours) => style.fg(Color::Green),
            (Tone::Dropped, Self::Colours) => style.fg(Color::Red),
            (Tone::Marked, Self::Colours) => style.fg(Color::Magenta),
            (Tone::Passed, Self::Plain) => style,
            (Tone::Dropped | Tone::Marked, Self::Plain) => style.add_modifier(Modifier::BOLD),
        }
    }
}

const BOLD: Style = Style::new().add_modifier(Modifier::BOLD);
const QUIET: Style = Style::new().add_modifier(Modifier::DIM);
const REVERSED: Style = Style::new().add_modifier(Modifier::REVERSED);

/// Draws all of it.
pub(super) fn draw(app: &App, palette: Palette, area: Rect, buffer: &mut Buffer) {
    if area.width < LEAST_COLUMNS || area.height < LEAST_ROWS {
        let text = format!("too small: {LEAST_COLUMNS}x{LEAST_ROWS}");
        put(buffer, area, 0, &text, Style::new());
        return;
    }
    let mut y = header(app, palette, area, buffer);
    tabs(app, area, y, buffer);
    y += 1;
    let room = Rect {
        y: area.y + y,
        height: area.height.saturating_sub(y + 1),
        ..area
    };
    rows(app, palette, room, buffer);
    last_line(app, area, buffer);
    match &app.dialog {
        Dialog::None | Dialog::Filter => {}
        Dialog::Help => boxed(buffer, area, HELP),
        Dialog::Question(command) => {
            let typed = command.typed();
            boxed(
                buffer,
                area,
                &[
                    "Run this command?",
                    "",
                    &typed,
                    "",
                    "y: yes   any other key: no",
                ],
            );
        }
        Dialog::Answer(text) => {
            let lines: Vec<&str> = text.lines().chain(["", "any key goes on"]).collect();
            boxed(buffer, area, &lines);
        }
    }
}

/// What holds for all views; how many lines it took.
fn header(app: &App, palette: Palette, area: Rect, buffer: &mut Buffer) -> u16 {
    let rates = &app.rates;
    let mut words: Vec<(String, Style)> = vec![("guard".to_owned(), BOLD)];
    if app.is_paused {
        words.push(("PAUSED".to_owned(), REVERSED));
    }
    if !app.has_rates {
        words.push(("measuring".to_owned(), QUIET));
        return line_of(buffer, area, 0, &words);
    }
    if rates.active {
        words.push((format!("generation {}", rates.generation), Style::new()));
    } else {
        words.push(("OFF".to_owned(), palette.style(Tone::Dropped)));
    }
    for interface in &rates.interfaces {
        let what = interface.fault.unwrap_or(interface.mode);
        let style = match interface.protected {
            true => Style::new(),
            false => palette.style(Tone::Dropped).add_modifier(Modifier::BOLD),
        };
        let what = if interface.mode == "off" { "OFF" } else { what };
        words.push((format!("{} {what}", interface.name), style));
    }
    words.push((
        rates.cpu.map_or_else(
            || "cpu unknown".to_owned(),
            |cpu| format!("cpu {:.1}% {:.0} ns", cpu.share * 100.0, cpu.nanoseconds),
        ),
        Style::new(),
    ));
    let mut y = line_of(buffer, area, 0, &words);
    let totals = &rates.totals;
    let mut second = vec![
        ("passed", totals.passed.packets, Tone::Passed),
        ("dropped", totals.dropped.packets, Tone::Dropped),
        ("answered", totals.answered.packets, Tone::Plain),
    ];
    if totals.monitored.packets > 0.0 {
        second.push(("would drop", totals.monitored.packets, Tone::Dropped));
    }
    let of = &rates.connections;
    let third = [
        ("new in", of.incoming, Tone::Plain),
        ("out", of.outgoing, Tone::Plain),
        ("cookies", of.cookies, Tone::Plain),
        ("out of state", of.out_of_state, Tone::Plain),
    ];
    for line in [second.as_slice(), third.as_slice()] {
        let words: Vec<(String, Style)> = line
            .iter()
            .map(|(name, number, tone)| {
                let tone = if *number > 0.0 { *tone } else { Tone::Quiet };
                (
                    format!("{name} {}/s", compact(*number)),
                    palette.style(tone),
                )
            })
            .collect();
        y = line_of(buffer, area, y, &words);
    }
    if let Some(pending) = &rates.pending {
        let text = format!(
            "generation {} is not confirmed: in {} {} (`guardctl confirm` keeps it)",
            pending.generation,
            time(pending.seconds_left),
            pending.then
        );
        put(buffer, area, y, &text, REVERSED);
        y += 1;
    }
    y
}

/// Words beside each other, as many as fit; the next line.
fn line_of(buffer: &mut Buffer, area: Rect, y: u16, words: &[(String, Style)]) -> u16 {
    let mut x = 0;
    for (word, style) in words {
        let width = width(word);
        // The first one is cut, the others are left out.
        if x > 0 && x + width > area.width {
            continue;
        }
        put_at(buffer, area, x, y, word, *style);
        x += width + 2;
    }
    y + 1
}

fn tabs(app: &App, area: Rect, y: u16, buffer: &mut Buffer) {
    let number = |view: View| match view {
        View::Ports => app.rates.ports.len() as u64,
        View::Reasons => app.rates.reasons.len() as u64,
        View::Sources => app.rates.sources.len() as u64,
        View::Bans => app.rates.bans.number,
    };
    let mut words: Vec<(String, Style)> = Vec::new();
    let is_narrow = area.width < 60;
    for (at, view) in View::ALL.into_iter().enumerate() {
        let style = if view == app.view {
            REVERSED
        } else {
            Style::new()
        };
        let text = match (is_narrow, view == app.view) {
            (true, false) => format!("{}", at + 1),
            (true, true) | (false, _) => format!("{} {} {}", at + 1, view.title(), number(view)),
        };
        words.push((text, style));
    }
    let (order, direction) = app.order();
    let arrow = match direction {
        Direction::Usual => "",
        Direction::Reversed => ", reversed",
    };
    words.push((format!("by {}{arrow}", order.title()), QUIET));
    line_of(buffer, area, y, &words);
}

fn rows(app: &App, palette: Palette, area: Rect, buffer: &mut Buffer) {
    let fitting = fit(columns(app.view), area.width);
    let title = |column: &Column| Cell {
        text: column.title.to_owned(),
        tone: Tone::Plain,
    };
    let titles: Vec<Cell> = columns(app.view).iter().map(title).collect();
    cells(buffer, area, 0, &titles, &fitting, |_| BOLD);
    let rows = app.rows();
    let height = usize::from(area.height.saturating_sub(1));
    let selected = app.selected(&rows);
    // What is selected is seen.
    let first = selected.map_or(0, |at| (at + 1).saturating_sub(height));
    for (index, row) in rows.iter().enumerate().skip(first).take(height) {
        let y = (index - first) as u16 + 1;
        let is_selected = selected == Some(index);
        let style = |cell: &Cell| match is_selected {
            true => REVERSED,
            false => palette.style(cell.tone),
        };
        if is_selected {
            let line = Rect {
                y: area.y + y,
                height: 1,
                ..area
            };
            buffer.set_style(line, REVERSED);
        }
        cells(buffer, area, y, &row.cells, &fitting, style);
    }
    if rows.is_empty() {
        put(buffer, area, 1, empty(app), QUIET);
    }
}

fn empty(app: &App) -> &'static str {
    if !app.filter.is_empty() {
        return "nothing matches the filter";
    }
    if !app.has_rates {
        return "";
    }
    match app.view {
        View::Ports => "no packets in the last minute",
        View::Reasons => "no packets yet",
        View::Sources => "nobody is dropped, or of a flood nobody stands out",
        View::Bans => "nothing is banned",
    }
}

/// A column that there is room for.
#[derive(Clone, Copy, Debug)]
struct Fitting {
    at: usize,
    x: u16,
    width: u16,
    side: Side,
}

/// The columns that there is room for, with their places; the last one has what is left.
fn fit(columns: &[Column], width: u16) -> Vec<Fitting> {
    let mut kept: Vec<usize> = (0..columns.len()).collect();
    let needed = |kept: &[usize]| -> u16 {
        let widths = kept.iter().map(|at| columns[*at].width + 1);
        widths.sum::<u16>().saturating_sub(1)
    };
    while kept.len() > 1 && needed(&kept) > width {
        let last = kept.iter().copied().max_by_key(|at| columns[*at].rank);
        kept.retain(|at| Some(*at) != last);
    }
    let spare = width.saturating_sub(needed(&kept));
    let mut x = 0;
    let last = kept.len() - 1;
    let mut fitting = Vec::new();
    for (index, at) in kept.into_iter().enumerate() {
        let more = if index == last { spare } else { 0 };
        // Beyond what it needs, a column of numbers has no use for room.
        let more = if columns[at].side == Side::Left {
            more
        } else {
            0
        };
        let own = (columns[at].width + more).min(width);
        fitting.push(Fitting {
            at,
            x,
            width: own,
            side: columns[at].side,
        });
        x += own + 1;
    }
    fitting
}

fn cells(
    buffer: &mut Buffer,
    area: Rect,
    y: u16,
    cells: &[Cell],
    fitting: &[Fitting],
    style: impl Fn(&Cell) -> Style,
) {
    for column in fitting {
        let Some(cell) = cells.get(column.at) else {
            continue;
        };
        let text: String = cut(&cell.text, column.width);
        let x = match column.side {
            Side::Left => column.x,
            Side::Right => column.x + column.width.saturating_sub(width(&text)),
        };
        put_at(buffer, area, x, y, &text, style(cell));
    }
}

fn last_line(app: &App, area: Rect, buffer: &mut Buffer) {
    let y = area.height - 1;
    if app.dialog == Dialog::Filter {
        let text = format!("filter: {}_   Enter keeps it, Esc ends it", app.filter);
        put(buffer, area, y, &text, REVERSED);
    } else if !app.filter.is_empty() {
        let text = format!("only rows with \"{}\"   Esc shows all", app.filter);
        put(buffer, area, y, &text, BOLD);
    } else if let Some(note) = app.rates.notes.first() {
        put(buffer, area, y, note, BOLD);
    } else {
        put(buffer, area, y, KEYS, QUIET);
    }
}

/// Lines in a box over the middle.
fn boxed(buffer: &mut Buffer, area: Rect, lines: &[&str]) {
    let inner = area.width.saturating_sub(4).max(1);
    let wrapped: Vec<String> = lines.iter().flat_map(|line| wrap(line, inner)).collect();
    let widest = wrapped.iter().map(|line| width(line)).max().unwrap_or(0);
    let height = (wrapped.len() as u16 + 2).min(area.height);
    let frame = Rect {
        x: area.x + (area.width.saturating_sub(widest + 4)) / 2,
        y: area.y + (area.height - height) / 2,
        width: (widest + 4).min(area.width),
        height,
    };
    for y in 0..frame.height {
        let is_edge = y == 0 || y + 1 == frame.height;
        let line = match is_edge {
            true => format!(
                "+{}+",
                "-".repeat(usize::from(frame.width.saturating_sub(2)))
            ),
            false => {
                let text = wrapped.get(usize::from(y) - 1).map_or("", String::as_str);
                let blank =
                    usize::from((frame.width.saturating_sub(4)).saturating_sub(width(text)));
                format!("| {text}{} |", " ".repeat(blank))
            }
        };
        put(buffer, frame, y, &line, Style::reset());
    }
}

/// Cuts a line where words end, so that none is wider.
fn wrap(line: &str, room: u16) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in line.split(' ') {
        let last = lines.len() - 1;
        let is_first = lines[last].is_empty();
        if !is_first && width(&lines[last]) + 1 + width(word) > room {
            lines.push(cut(word, room));
        } else {
            if !is_first {
                lines[last].push(' ');
            }
            lines[last].push_str(word);
            lines[last] = cut(&lines[last], room);
        }
    }
    lines
}

/// Columns that a text takes.
fn width(text: &str) -> u16 {
    u16::try_from(Span::raw(text).width()).unwrap_or(u16::MAX)
}

/// As much of a text as fits.
fn cut(text: &str, room: u16) -> String {
    if width(text) <= room {
        return text.to_owned();
    }
    let mut kept = String::new();
    for letter in text.chars() {
        if width(&kept) + 2 > room {
            break;
        }
        kept.push(letter);
    }
    kept.push('~');
    kept
}

fn put(buffer: &mut Buffer, area: Rect, y: u16, text: &str, style: Style) {
    put_at(buffer, area, 0, y, &cut(text, area.width), style);
}

/// Nothing is written outside of the area.
fn put_at(buffer: &mut Buffer, area: Rect, x: u16, y: u16, text: &str, style: Style) {
    if x < area.width && y < area.height {
        let room = usize::from(area.width - x);
        buffer.set_stringn(area.x + x, area.y + y, plain(text), room, style);
    }
}

#[cfg(test)]
mod tests;
