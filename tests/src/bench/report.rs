//! Lines for people about test runs: one per row.

use super::{beside::Compared, measure::Measurement, series::Series, worst::Worst};

/// What the numbers of the rows are.
pub const EXPLANATION: &str = "Ratios to a bare XDP_DROP program in the same rounds (minimum of all \
     rounds, then median). The kernel reports whole nanoseconds per packet. Random rows include \
     the price of drawing the packet, shown as \"generator\".";

/// What the numbers beside xdp-filter are.
pub const BESIDE: &str = "Time of guard as a share of the time of xdp-filter's program on the same packets in the \
     same rounds (minimum of all\nrounds, then median; below 1 guard is ahead). \"all\" is what xdp-filter \
     loads by default; \"ipv4\" and \"tcp\" are its programs\nthat can do nothing else. guard does its whole work \
     in every row.";

/// One row.
#[must_use]
pub fn line(row: &Measurement) -> String {
    format!(
        "{:>6} rules  {:<26} {:<38} {:>5.2}x min {:>5.2}x median   ({:.0} / {:.0} ns; generator \
         {:.0}, bare drop {:.0})",
        row.rules,
        row.name,
        row.packets,
        row.guard.min() / row.bare.min(),
        row.guard.median() / row.bare.median(),
        row.guard.min(),
        row.guard.median(),
        row.generator.median(),
        row.bare.median(),
    )
}

/// One of the most expensive packets.
#[must_use]
pub fn worst_line(found: &Worst) -> String {
    format!(
        "{:<5} policy  {:<20} {:>5.1}x   ({:.0} ns; bare drop {:.0})  {}",
        found.size.name(),
        found.reason.label(),
        found.ratio(),
        found.guard.min(),
        found.bare.min(),
        found.hex(),
    )
}

/// What the lines of the search say.
pub const WORST: &str = "The most expensive packet that the search found for each reason: the least time of guard by \
the least time of bare XDP_DROP, then the packet. Small: 7 rules. Large: sets of 3 000 prefixes, rules about \
interfaces and destinations, 70 000 bans. Both have sessions and flows. Another seed may find worse.";

/// The way out, beside an empty tc program.
#[must_use]
pub fn egress_line(empty: &Series, egress: &Series) -> String {
    format!(
        "outgoing segment of a known flow: {:+.0} ns min {:+.0} ns median over an empty tc program \
         ({:.0} / {:.0} ns)",
        egress.min() - empty.min(),
        egress.median() - empty.median(),
        empty.min(),
        empty.median(),
    )
}

/// A read of memory, beside the generator.
#[must_use]
pub fn read_line(generator: &Series, read: &Series) -> String {
    format!(
        "one read of a table of 16 MB at random, waited for: {:+.0} ns min {:+.0} ns median over the generator",
        read.min() - generator.min(),
        read.median() - generator.median(),
    )
}

/// A banned source of a thousand, beside a program that does this and nothing else.
#[must_use]
pub fn floor_line([bare, floor, guard]: &[Series; 3]) -> String {
    format!(
        "hand-written minimum for a banned source of 1 000: {:.2}x min {:.2}x median of bare drop \
         ({:.0} / {:.0} ns), guard in the same rounds {:.2}x min {:.2}x median",
        floor.min() / bare.min(),
        floor.median() / bare.median(),
        floor.min(),
        floor.median(),
        guard.min() / bare.min(),
        guard.median() / bare.median(),
    )
}

/// One row beside xdp-filter.
#[must_use]
pub fn beside_line(row: &Compared) -> String {
    let guard = &row.measured.guard;
    let theirs: String = row
        .features
        .iter()
        .zip(&row.measured.peers)
        .map(|(features, peer)| {
            format!(
                "   of {features:<4} {:>5.2} / {:>5.2} ({:.0} ns)",
                guard.min() / peer.min(),
                guard.over(peer).median(),
                peer.min(),
            )
        })
        .collect();
    let theirs = match theirs.as_str() {
        "" => "   xdp-filter holds 10 000 addresses",
        some => some,
    };
    format!(
        "{:<26} {:<24} guard {:>5.2}x bare drop ({:.0} ns){theirs}",
        row.measured.name,
        row.measured.packets,
        guard.min() / row.measured.bare.min(),
        guard.min(),
    )
}
