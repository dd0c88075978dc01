use guard_tests::bench::{end_to_end::*, filters::Filter, flood::Kind};
use std::time::Duration;
fn main() -> anyhow::Result<()> {
    let rounds = std::env::args().nth(1).map_or(1, |n| n.parse().unwrap());
    let plan = Plan {
        rounds,
        flood: Duration::from_millis(700),
        work: Duration::from_millis(1000),
        rate: 1_000_000,
    };
    let mut cells = Vec::new();
    for filter in Filter::ALL {
        let t = std::time::Instant::now();
        cells.push(Cell::new(filter)?);
        println!("{} set up {:?}", filter.name(), t.elapsed());
    }
    for m in mitigate(&cells, &[Kind::Syn, Kind::Udp], &plan)? {
        println!(
            "{:<14} {} {:>10.0} /s {:>8.0} ns leaked {:.4}",
            m.filter.name(),
            m.kind.name(),
            m.per_second.median(),
            m.cpu.median(),
            m.leaked.median()
        );
    }
    for s in serve(&cells, Kind::Syn, &plan)? {
        println!(
            "{:<14} calm {:>8.0} p99 {:>7.2} flooded {:>8.0} p99 {:>7.2} failed {:.3} received {:.0}",
            s.filter.name(),
            s.calm.median(),
            s.calm_p99.median(),
            s.flooded.median(),
            s.flooded_p99.median(),
            s.failed.median(),
            s.received.median()
        );
    }
    Ok(())
}
