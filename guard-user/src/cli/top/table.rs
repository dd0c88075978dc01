//! Rows of the four tables: what is shown of the rates, in which order.

use std::cmp::Ordering;

use super::{
    figures::{Glyphs, compact, course, time},
    view::{Order, View},
};
use crate::live::{BanLeft, History, PortRates, Rates, ReasonRates, SourceRates};

/// Columns of a course, and seconds in each: a minute.
const COURSE: u16 = 12;
const SECONDS: usize = 5;

/// A column.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    pub(super) title: &'static str,
    pub(super) width: u16,
    pub(super) side: Side,
    /// Those with the highest number are left out first where there is no room.
    pub(super) rank: u8,
}

/// Where a column's text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Left,
    Right,
}

/// How a cell looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Plain,
    Quiet,
    Passed,
    Dropped,
    Marked,
}

/// What stands in a column of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) text: String,
    pub(super) tone: Tone,
}

/// A row, and what it is about: the selection stays with it when the order changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) key: String,
    pub(super) cells: Vec<Cell>,
}

const fn left(title: &'static str, width: u16, rank: u8) -> Column {
    Column {
        title,
        width,
        side: Side::Left,
        rank,
    }
}

const fn right(title: &'static str, width: u16, rank: u8) -> Column {
    Column {
        title,
        width,
        side: Side::Right,
        rank,
    }
}

const PORTS: &[Column] = &[
    left("PORT", 10, 0),
    left("NAME", 9, 5),
    right("PASSED/s", 8, 2),
    right("bit/s", 6, 6),
    right("DROPPED/s", 9, 1),
    right("bit/s", 6, 7),
    left("LAST MINUTE", COURSE, 4),
    left("REASON", 13, 3),
];
const REASONS: &[Column] = &[
    left("REASON", 20, 0),
    left("ACTION", 6, 2),
    right("PACKETS/s", 9, 1),
    right("bit/s", 7, 3),
    right("MONITORED/s", 11, 5),
    right("TOTAL", 13, 4),
];
const SOURCES: &[Column] = &[
    left("SOURCE", 20, 0),
    right("DROPPED/s", 9, 1),
    left("TO", 12, 3),
    left("REASON", 16, 4),
    left("STATE", 14, 2),
];
const BANS: &[Column] = &[
    left("SOURCE", 22, 0),
    right("LEFT", 9, 1),
    left("BY", 18, 2),
    left("REASON", 22, 3),
];

/// The columns of a table.
pub(super) const fn columns(view: View) -> &'static [Column] {
    match view {
        View::Ports => PORTS,
        View::Reasons => REASONS,
        View::Sources => SOURCES,
        View::Bans => BANS,
    }
}

/// Which way rows are sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Direction {
    #[default]
    Usual,
    Reversed,
}

/// The rows of a table that contain the text, sorted.
pub(super) fn rows(
    rates: &Rates,
    view: View,
    order: Order,
    direction: Direction,
    filter: &str,
    glyphs: Glyphs,
) -> Vec<Row> {
    let mut rows: Vec<Row> = match view {
        View::Ports => {
            let mut ports: Vec<&PortRates> = rates.ports.iter().collect();
            ports.sort_by(|one, other| by_port(one, other, order));
            ports
                .into_iter()
                .map(|port| port_row(port, glyphs))
                .collect()
        }
        View::Reasons => {
            let mut reasons: Vec<&ReasonRates> = rates.reasons.iter().collect();
            reasons.sort_by(|one, other| by_reason(one, other, order));
            reasons.into_iter().map(reason_row).collect()
        }
        View::Sources => {
            let mut sources: Vec<&SourceRates> = rates.sources.iter().collect();
            sources.sort_by(|one, other| by_source(one, other, order));
            sources.into_iter().map(source_row).collect()
        }
        View::Bans => {
            let mut bans = rates.bans.soonest.clone();
            if order == Order::Name {
                bans.sort_by(|one, other| one.source.cmp(&other.source));
            }
            bans.iter().map(ban_row).collect()
        }
    };
    if direction == Direction::Reversed {
        rows.reverse();
    }
    let filter = filter.to_lowercase();
    let has_it = |row: &Row| {
        let mut cells = row.cells.iter();
        cells.any(|cell| cell.text.to_lowercase().contains(&filter))
    };
    rows.retain(has_it);
    rows
}

fn dropped(port: &PortRates) -> f64 {
    port.dropped.packets + port.monitored.packets
}

fn by_port(one: &PortRates, other: &PortRates, order: Order) -> Ordering {
    let by_number = || (one.port, &one.label).cmp(&(other.port, &other.label));
    let recent = |port: &PortRates| {
        port.history
            .dropped
            .iter()
            .copied()
            .fold(0, u64::saturating_add)
    };
    match order {
        Order::Passed => other.passed.packets.total_cmp(&one.passed.packets),
        Order::Name => Ordering::Equal,
        Order::Dropped | Order::Rate | Order::Total | Order::State | Order::Left => {
            let now = dropped(other).total_cmp(&dropped(one));
            now.then_with(|| recent(other).cmp(&recent(one)))
                .then_with(|| other.passed.packets.total_cmp(&one.passed.packets))
        }
    }
    .then_with(by_number)
}

fn by_reason(one: &ReasonRates, other: &ReasonRates, order: Order) -> Ordering {
    let packets = |of: &ReasonRates| of.counted.packets + of.monitored.packets;
    match order {
        Order::Total => other.total.cmp(&one.total),
        Order::Name => Ordering::Equal,
        Order::Dropped | Order::Passed | Order::Rate | Order::State | Order::Left => {
            let now = packets(other).total_cmp(&packets(one));
            now.then(other.total.cmp(&one.total))
        }
    }
    .then_with(|| one.reason.cmp(other.reason))
}

fn by_source(one: &SourceRates, other: &SourceRates, order: Order) -> Ordering {
    match order {
        Order::State => other.state.label().cmp(one.state.label()),
        Order::Name => one.source.cmp(&other.source),
        Order::Dropped | Order::Passed | Order::Rate | Order::Total | Order::Left => {
            Ordering::Equal
        }
    }
    .then_with(|| other.packets.total_cmp(&one.packets))
    .then_with(|| one.source.cmp(&other.source))
}

fn plain(text: impl Into<String>) -> Cell {
    Cell {
        text: text.into(),
        tone: Tone::Plain,
    }
}

/// A rate: what is nothing stands back.
fn rate(number: f64, tone: Tone) -> Cell {
    Cell {
        text: compact(number),
        tone: if number > 0.0 { tone } else { Tone::Quiet },
    }
}

fn port_row(port: &PortRates, glyphs: Glyphs) -> Row {
    let History { passed, dropped } = &port.history;
    let both: Vec<u64> = passed
        .iter()
        .zip(dropped)
        .map(|(passed, dropped)| passed.saturating_add(*dropped))
        .collect();
    Row {
        key: port.label.clone(),
        cells: vec![
            plain(port.label.clone()),
            plain(port.name.clone().unwrap_or_default()),
            rate(port.passed.packets, Tone::Passed),
            rate(port.passed.bits, Tone::Plain),
            rate(self::dropped(port), Tone::Dropped),
            rate(port.dropped.bits + port.monitored.bits, Tone::Plain),
            plain(course(&both, COURSE.into(), SECONDS, glyphs)),
            plain(port.main_reason.unwrap_or_default()),
        ],
    }
}

fn reason_row(reason: &ReasonRates) -> Row {
    let tone = match reason.action {
        "drop" => Tone::Dropped,
        "pass" => Tone::Passed,
        _ => Tone::Plain,
    };
    Row {
        key: reason.reason.to_owned(),
        cells: vec![
            plain(reason.reason),
            plain(reason.action),
            rate(reason.counted.packets, tone),
            rate(reason.counted.bits, Tone::Plain),
            rate(reason.monitored.packets, Tone::Dropped),
            plain(reason.total.to_string()),
        ],
    }
}

fn source_row(source: &SourceRates) -> Row {
    let state = match source.seconds_left {
        Some(left) => format!("{} {}", source.state.label(), time(left)),
        None => source.state.label().to_owned(),
    };
    Row {
        key: source.source.clone(),
        cells: vec![
            plain(source.source.clone()),
            rate(source.packets, Tone::Dropped),
            plain(source.service.clone().unwrap_or_default()),
            plain(source.reason),
            Cell {
                text: state,
                tone: Tone::Marked,
            },
        ],
    }
}

fn ban_row(ban: &BanLeft) -> Row {
    let left = ban.seconds_left;
    Row {
        key: ban.source.clone(),
        cells: vec![
            plain(ban.source.clone()),
            plain(left.map_or_else(|| "permanent".to_owned(), time)),
            plain(ban.origin.clone()),
            plain(ban.reason.clone()),
        ],
    }
}
