//! What is shown, and what keys do to it. Knows no terminal, and runs nothing: it asks for it.

use super::{
    figures::Glyphs,
    keys::Key,
    order::Command,
    table::{self, Direction, Row},
    view::{Order, View},
};
use crate::live::Rates;

/// Longest text to filter by, in characters.
const LONGEST_FILTER: usize = 40;
/// Rows that a key moves by, at once.
const PAGE: usize = 10;

/// What lies over the table, if anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Dialog {
    /// Nothing.
    #[default]
    None,
    /// The keys.
    Help,
    /// Shall this command run?
    Question(Command),
    /// What a command said, or why a key does nothing.
    Answer(String),
    /// The filter is being typed.
    Filter,
}

/// What a key asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// The end.
    Quit,
    /// This command.
    Run(Command),
}

/// The state of the screen.
#[derive(Debug)]
pub(super) struct App {
    pub(super) view: View,
    pub(super) rates: Rates,
    /// Before the first rates nothing is known.
    pub(super) has_rates: bool,
    pub(super) is_paused: bool,
    pub(super) filter: String,
    pub(super) dialog: Dialog,
    pub(super) glyphs: Glyphs,
    /// By view.
    sorting: [(usize, Direction); View::ALL.len()],
    /// What the selected row is about, by view.
    selected: [Option<String>; View::ALL.len()],
}

impl App {
    pub(super) fn new(view: View, glyphs: Glyphs) -> Self {
        Self {
            view,
            rates: Rates::default(),
            has_rates: false,
            is_paused: false,
            filter: String::new(),
            dialog: Dialog::None,
            glyphs,
            sorting: [(0, Direction::Usual); View::ALL.len()],
            selected: [const { None }; View::ALL.len()],
        }
    }

    /// There are new rates; a paused screen stays as it is, but for what waits to be confirmed: that has a time.
    pub(super) fn update(&mut self, rates: Rates) {
        if self.is_paused && self.has_rates {
            self.rates.pending = rates.pending;
            self.rates.active = rates.active;
        } else {
            self.rates = rates;
            self.has_rates = true;
        }
    }

    /// By what the rows are sorted.
    pub(super) fn order(&self) -> (Order, Direction) {
        let (at, direction) = self.sorting[self.view as usize];
        (self.view.orders()[at], direction)
    }

    /// The rows of the view.
    pub(super) fn rows(&self) -> Vec<Row> {
        let (order, direction) = self.order();
        table::rows(
            &self.rates,
            self.view,
            order,
            direction,
            &self.filter,
            self.glyphs,
        )
    }

    /// Which of these rows is selected.
    pub(super) fn selected(&self, rows: &[Row]) -> Option<usize> {
        let key = self.selected[self.view as usize].as_ref()?;
        rows.iter().position(|row| row.key == *key)
    }

    /// A key was pressed.
    pub(super) fn key(&mut self, key: Key) -> Option<Request> {
        if key == Key::Interrupt {
            return Some(Request::Quit);
        }
        match std::mem::take(&mut self.dialog) {
            Dialog::None => self.key_in_table(key),
            Dialog::Help | Dialog::Answer(_) => None,
            Dialog::Question(command) => {
                let is_yes = matches!(key, Key::Char('y' | 'Y'));
                is_yes.then_some(Request::Run(command))
            }
            Dialog::Filter => {
                self.key_in_filter(key);
                None
            }
        }
    }

    fn key_in_filter(&mut self, key: Key) {
        if key == Key::Enter {
            return;
        }
        if key == Key::Escape {
            self.filter.clear();
            return;
        }
        if key == Key::Backspace {
            self.filter.pop();
        }
        if let Key::Char(letter) = key
            && self.filter.chars().count() < LONGEST_FILTER
        {
            self.filter.push(letter);
        }
        self.dialog = Dialog::Filter;
    }

    fn key_in_table(&mut self, key: Key) -> Option<Request> {
        match key {
            Key::Char('q') => return Some(Request::Quit),
            Key::Escape => self.filter.clear(),
            Key::Char('?' | 'h') => self.dialog = Dialog::Help,
            Key::Tab | Key::Right => self.view = self.view.next(),
            Key::BackTab | Key::Left => self.view = self.view.previous(),
            Key::Char(number @ '1'..='4') => {
                self.view = View::ALL[number as usize - '1' as usize];
            }
            Key::Char('s') => {
                let (at, direction) = self.sorting[self.view as usize];
                let at = (at + 1) % self.view.orders().len();
                self.sorting[self.view as usize] = (at, direction);
            }
            Key::Char('r') => {
                let (_, direction) = &mut self.sorting[self.view as usize];
                *direction = match direction {
                    Direction::Usual => Direction::Reversed,
                    Direction::Reversed => Direction::Usual,
                };
            }
            Key::Char('/') => self.dialog = Dialog::Filter,
            Key::Char('p' | ' ') => self.is_paused = !self.is_paused,
            Key::Down | Key::Char('j') => self.select(|at| at + 1),
            Key::Up | Key::Char('k') => self.select(|at| at.saturating_sub(1)),
            Key::PageDown => self.select(|at| at + PAGE),
            Key::PageUp => self.select(|at| at.saturating_sub(PAGE)),
            Key::Home | Key::Char('g') => self.select(|_| 0),
            Key::End | Key::Char('G') => self.select(|_| usize::MAX),
            Key::Char('b') => self.dialog = self.ban(),
            Key::Char('a') => self.dialog = self.allow(),
            Key::Char(_) | Key::Enter | Key::Backspace | Key::Interrupt => {}
        }
        None
    }

    fn select(&mut self, step: impl FnOnce(usize) -> usize) {
        let rows = self.rows();
        let at = match self.selected(&rows) {
            Some(at) => step(at),
            // The first key that goes down selects the first row.
            None => step(0).saturating_sub(1),
        };
        let row = rows.get(at.min(rows.len().saturating_sub(1)));
        self.selected[self.view as usize] = row.map(|row| row.key.clone());
    }

    /// The source that a key is about: the selected one, or the first.
    fn source(&self) -> Option<String> {
        let rows = self.rows();
        let at = self.selected(&rows).unwrap_or(0);
        rows.get(at).map(|row| row.key.clone())
    }

    fn ban(&self) -> Dialog {
        match (self.view, self.source()) {
            (View::Sources, Some(source)) => Dialog::Question(Command::Ban(source)),
            (View::Sources, None) => Dialog::Answer("there is no source to ban".to_owned()),
            (View::Ports | View::Reasons | View::Bans, _) => {
                Dialog::Answer("b bans a source: press 3 and select one".to_owned())
            }
        }
    }

    fn allow(&self) -> Dialog {
        let nothing = |why: &str| Dialog::Answer(why.to_owned());
        let source = self.source();
        match self.view {
            View::Ports | View::Reasons => {
                nothing("a lets a source in: press 3 and select one, or 4 and select a ban")
            }
            View::Bans => match source {
                Some(source) => Dialog::Question(Command::Unban(source)),
                None => nothing("nothing is banned"),
            },
            View::Sources => {
                let mut sources = self.rates.sources.iter();
                let found = sources.find(|of| Some(&of.source) == source.as_ref());
                match found.map(Command::to_let_in) {
                    Some(Some(command)) => Dialog::Question(command),
                    Some(None) => nothing(
                        "it asks for no port, and a key opens nothing but ports; `guardctl explain` says what would \
                         let it in",
                    ),
                    None => nothing("there is no source to let in"),
                }
            }
        }
    }
}
