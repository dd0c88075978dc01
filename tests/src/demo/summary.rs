//! The end of the show: what passed, what was dropped and why, with guard and without.

use super::{
    round::RoundResult,
    screen::{number, time},
};

/// What a line is called, and how it is read off an outcome.
type Row = (&'static str, fn(&RoundResult) -> String);

/// Prints the comparison.
pub fn print(with: &RoundResult, without: &RoundResult) {
    let rows: [Row; 11] = [
        ("attacker sent, packets/s", |o| rate(o, o.sent)),
        ("reached the server's card, packets/s", |o| {
            rate(o, o.spent.received)
        }),
        ("dropped before the network stack", |o| {
            o.counted.as_ref().map_or("-".to_owned(), |(then, now)| {
                let dropped = now.all("drop") - then.all("drop");
                let all = dropped + now.all("pass") - then.all("pass");
                format!(
                    "{} ({:.2} %)",
                    number(dropped),
                    dropped as f64 * 100.0 / all as f64
                )
            })
        }),
        ("packets that the server sent", |o| number(o.spent.sent)),
        ("receiving CPU (softirq), of one CPU", |o| {
            format!(
                "{:.0} %",
                o.spent.softirq.as_secs_f64() * 100.0 / o.took.as_secs_f64()
            )
        }),
        ("receiving CPU per packet", |o| {
            let packets = o.spent.received.max(1) as f64;
            format!("{:.0} ns", o.spent.softirq.as_secs_f64() * 1e9 / packets)
        }),
        ("friend: pages fetched / failed", |o| {
            format!("{} / {}", o.work.answered.len(), o.work.failed)
        }),
        ("friend: median time of a page", |o| percentile(o, 0.5)),
        ("friend: slowest in 100 (99 %)", |o| percentile(o, 0.99)),
        ("friend: slowest", |o| percentile(o, 1.0)),
        ("friend: ssh logins / failed", |o| {
            format!("{} / {}", o.work.logins, o.work.failed_logins)
        }),
    ];
    println!(
        "{:<40}{:>22}{:>22}",
        "under the flood", "with guard", "without guard"
    );
    for (name, value) in rows {
        println!("{name:<40}{:>22}{:>22}", value(with), value(without));
    }
}

/// Prints what guard decided during a round, by reason.
pub fn print_reasons(outcome: &RoundResult) {
    let Some((then, now)) = &outcome.counted else {
        return;
    };
    println!("{:<22}{:<8}{:>14}", "reason", "action", "packets");
    for (name, action, packets) in now.table() {
        let packets = packets - then.reason(&name);
        if packets > 0 {
            println!("{name:<22}{action:<8}{:>14}", number(packets));
        }
    }
}

fn rate(outcome: &RoundResult, packets: u64) -> String {
    number((packets as f64 / outcome.took.as_secs_f64()) as u64)
}

fn percentile(outcome: &RoundResult, share: f64) -> String {
    outcome.work.percentile(share).map_or("-".to_owned(), time)
}
