//! Tables for people about the end-to-end parts, and how far the aims are reached.

use super::{
    end_to_end::{Mitigation, Service},
    filters::Filter,
    flood::Kind,
    series::Series,
};

/// What the numbers about floods at full speed are.
pub const FLOODS: &str = "A flood from random sources to closed ports, as fast as one CPU sends; another CPU receives. \
     \"per CPU second\": packets dealt with per\nsecond of CPU time of the thread that receives, as a multiple of \
     nftables' input hook in the same round: median (lowest to highest round), and by the quickest round of each.";

/// What the numbers about the honest client are.
pub const SERVICE: &str = "An honest client of a real nginx during the flood, on the same queue and the same two CPUs. \"of bare drop\": \
     requests per second as a\nshare of those behind a program that drops just this flood, in the same round: \
     median (lowest to highest round). \"queue full\": what was lost\nbefore any filter saw it. What receives goes before \
     nginx, as soft interrupts do.";

/// `1.23 (1.10 to 1.40)`
fn spread(series: &Series) -> String {
    format!(
        "{:.2} ({:.2} to {:.2})",
        series.median(),
        series.min(),
        series.max()
    )
}

fn of(all: &[Mitigation], filter: Filter, kind: Kind) -> Option<&Mitigation> {
    all.iter()
        .find(|row| row.filter == filter && row.kind == kind)
}

fn served(all: &[Service], filter: Filter) -> Option<&Service> {
    all.iter().find(|row| row.filter == filter)
}

/// Packets per CPU second as a multiple of another filter's, per round.
#[must_use]
pub fn per_cpu(all: &[Mitigation], row: &Mitigation, other: Filter) -> Option<Series> {
    // CPU time per packet the other way round.
    Some(of(all, other, row.kind)?.cpu.over(&row.cpu))
}

/// The same by the quickest rounds of both: what a quiet machine would show.
fn per_cpu_at_best(all: &[Mitigation], row: &Mitigation, other: Filter) -> Option<f64> {
    Some(of(all, other, row.kind)?.cpu.min() / row.cpu.min())
}

/// Requests per second as a share of another filter's, per round.
#[must_use]
pub fn goodput(all: &[Service], row: &Service, other: Filter) -> Option<Series> {
    Some(row.flooded.over(&served(all, other)?.flooded))
}

/// The floods at full speed.
#[must_use]
pub fn floods(all: &[Mitigation]) -> String {
    let mut text = format!(
        "{:<15}{:<6}{:>28}{:>10}{:>14}{:>10}{:>10}\n",
        "filter", "flood", "per CPU second", "minima", "CPU ns, min", "median", "let in"
    );
    for row in all {
        let multiple = per_cpu(all, row, Filter::NftInput);
        let best = per_cpu_at_best(all, row, Filter::NftInput);
        text += &format!(
            "{:<15}{:<6}{:>28}{:>10}{:>14.0}{:>10.0}{:>9.1}%\n",
            row.filter.name(),
            row.kind.name(),
            multiple.as_ref().map_or_else(|| "-".to_owned(), spread),
            best.map_or_else(|| "-".to_owned(), |best| format!("{best:.2}")),
            row.cpu.min(),
            row.cpu.median(),
            row.leaked.median() * 100.0,
        );
    }
    text
}

/// The flood at one port: what a SYN to a limited port costs beside a plain drop, where nobody listens and
/// where somebody does, in whose place it is answered.
#[must_use]
pub fn limited(all: &[Mitigation]) -> String {
    const MOST: f64 = 1.3;
    let mut text = String::new();
    let dropped = (Filter::GuardLimit, "above its ceiling");
    let answered = (Filter::GuardCookies, "whose full queue guard answers for");
    for (filter, what) in [dropped, answered] {
        let Some(row) = all.iter().find(|row| row.filter == filter) else {
            continue;
        };
        for (other, name) in [
            (Filter::GuardNative, "guard's plain drop"),
            (Filter::BareDrop, "a bare XDP_DROP"),
        ] {
            let Some(plain) = of(all, other, row.kind) else {
                continue;
            };
            let best = row.cpu.min() / plain.cpu.min();
            let verdict = match (filter, other) {
                (Filter::GuardLimit, Filter::GuardNative) if best <= MOST => "; within 1.3",
                (Filter::GuardLimit, Filter::GuardNative) => "; above 1.3",
                _ => "",
            };
            text += &format!(
                "SYNs from random sources to one limited port {what}, CPU time per packet: {} times that of {name} \
                 of the same flood, {best:.2} by the quickest rounds ({:.0} / {:.0} ns{verdict})\n",
                spread(&row.cpu.over(&plain.cpu)),
                row.cpu.min(),
                plain.cpu.min(),
            );
        }
    }
    text
}

/// The honest client.
#[must_use]
pub fn service(all: &[Service]) -> String {
    let mut text = format!(
        "{:<15}{:>26}{:>12}{:>12}{:>12}{:>12}{:>12}{:>12}\n",
        "filter",
        "of bare drop",
        "of calm",
        "p99 ms",
        "calm p99",
        "unanswered",
        "flood/s",
        "queue full"
    );
    for row in all {
        let share = goodput(all, row, Filter::BareDrop);
        text += &format!(
            "{:<15}{:>26}{:>12.2}{:>12.1}{:>12.1}{:>11.1}%{:>12.0}{:>11.1}%\n",
            row.filter.name(),
            share.as_ref().map_or_else(|| "-".to_owned(), spread),
            row.flooded.over(&row.calm).median(),
            row.flooded_p99.median(),
            row.calm_p99.median(),
            row.failed.median() * 100.0,
            row.sent.median(),
            row.lost.median() * 100.0,
        );
    }
    text
}

/// What guard is meant to reach, and what it has. Nothing depends on it: machines differ.
#[must_use]
pub fn aims(floods: &[Mitigation], services: &[Service]) -> String {
    let syns = || of(floods, Filter::GuardNative, Kind::Syn);
    let cpu = |other| Some(per_cpu(floods, syns()?, other)?.median());
    let best = |other| per_cpu_at_best(floods, syns()?, other);
    let requests = |other| {
        let row = served(services, Filter::GuardNative)?;
        Some(goodput(services, row, other)?.median())
    };
    let lines = [
        (
            "SYNs per CPU second, over nftables input",
            6.0,
            cpu(Filter::NftInput),
        ),
        (
            "the same by the quickest rounds",
            6.0,
            best(Filter::NftInput),
        ),
        ("SYNs per CPU second, over ufw", 15.0, cpu(Filter::Ufw)),
        ("the same by the quickest rounds", 15.0, best(Filter::Ufw)),
        (
            "requests during the flood, of bare drop's",
            0.85,
            requests(Filter::BareDrop),
        ),
        (
            "requests during the flood, over ufw's",
            6.0,
            requests(Filter::Ufw),
        ),
    ];
    let line = |(what, aim, found): (&str, f64, Option<f64>)| {
        let found = found?;
        let verdict = if found >= aim { "reached" } else { "missed" };
        Some(format!(
            "guard native: {what}: {found:.2} (aim {aim:.2}, {verdict})\n"
        ))
    };
    lines.into_iter().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mitigation(filter: Filter, cpu: [f64; 3]) -> Mitigation {
        let ones = || [1.0; 3].into_iter().collect::<Series>();
        Mitigation {
            filter,
            kind: Kind::Syn,
            per_second: ones(),
            cpu: cpu.into_iter().collect(),
            leaked: ones(),
        }
    }

    #[test]
    fn half_the_cpu_time_is_twice_the_packets_and_rounds_are_compared_with_themselves() {
        let rows = [
            mitigation(Filter::GuardNative, [100.0, 200.0, 100.0]),
            mitigation(Filter::NftInput, [700.0, 1400.0, 600.0]),
        ];

        let multiple = per_cpu(&rows, &rows[0], Filter::NftInput);

        let multiple = multiple.map(|series| (series.min(), series.median(), series.max()));
        assert_eq!(multiple, Some((6.0, 7.0, 7.0)));
        assert!(aims(&rows, &[]).contains("over nftables input: 7.00 (aim 6.00, reached)"));
    }

    #[test]
    fn what_was_not_measured_is_neither_reached_nor_missed() {
        let rows = [mitigation(Filter::GuardNative, [100.0; 3])];

        assert_eq!(aims(&rows, &[]), "");
        assert!(floods(&rows).contains('-'));
    }
}
