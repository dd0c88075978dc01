//! The four tables, and by what their rows can be sorted.

use clap::ValueEnum;

/// A table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum View {
    /// By port and protocol
    #[default]
    Ports,
    /// By reason
    Reasons,
    /// Sources that are dropped most, of a sample
    Sources,
    /// Bans, those that end first
    Bans,
}

impl View {
    pub(super) const ALL: [Self; 4] = [Self::Ports, Self::Reasons, Self::Sources, Self::Bans];

    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::Ports => "ports",
            Self::Reasons => "reasons",
            Self::Sources => "sources",
            Self::Bans => "bans",
        }
    }

    /// By what it can be sorted, the usual first.
    pub(super) const fn orders(self) -> &'static [Order] {
        match self {
            Self::Ports => &[Order::Dropped, Order::Passed, Order::Name],
            Self::Reasons => &[Order::Rate, Order::Total, Order::Name],
            Self::Sources => &[Order::Rate, Order::Name, Order::State],
            Self::Bans => &[Order::Left, Order::Name],
        }
    }

    pub(super) fn next(self) -> Self {
        match self {
            Self::Ports => Self::Reasons,
            Self::Reasons => Self::Sources,
            Self::Sources => Self::Bans,
            Self::Bans => Self::Ports,
        }
    }

    pub(super) fn previous(self) -> Self {
        self.next().next().next()
    }
}

/// By what rows are sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Dropped,
    Passed,
    Rate,
    Total,
    Name,
    State,
    Left,
}

impl Order {
    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::Dropped => "dropped",
            Self::Passed => "passed",
            Self::Rate => "packets",
            Self::Total => "total",
            Self::Name => "name",
            Self::State => "state",
            Self::Left => "left",
        }
    }
}
