//! `cargo xtask bench`: what a packet costs by BPF_PROG_TEST_RUN, beside a bare XDP_DROP program and
//! xdp-filter; then floods end to end, beside the tools that people would use instead.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result};
use clap::{Parser, ValueEnum};
use guard_tests::{
    bench::{
        cpus,
        end_to_end::{self, Cell, Plan},
        filters::Filter,
        fleet,
        flood::Kind,
        logs,
        matrix::{self, Extent},
        picture,
        record::Results,
        report, rows, tables, unwatched, watched,
        worst::{self, scene::Size},
    },
    local_net::in_local_net,
    require,
};

/// A smoke run takes one of so many rows.
const SMOKE_STEP: usize = 10;
/// The part of the rows that needs xdp-filter.
const BESIDE: &str = "beside";

/// Measure guard beside bare XDP_DROP and beside its peers; ratios, nothing absolute.
#[derive(Debug, Parser)]
struct Args {
    /// Only these parts, separated by commas.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Part>,
    /// Only the rows of part a about these subjects.
    #[arg(long, value_parser = subjects(), value_delimiter = ',')]
    rows: Vec<String>,
    /// Only these peers in parts b and c; guard, bare drop and no filter are always there.
    #[arg(long, value_parser = peers(), value_delimiter = ',')]
    peers: Vec<String>,
    /// Rounds; in each, everything that is compared runs once. At least 5, but for --smoke.
    #[arg(long)]
    rounds: Option<usize>,
    /// Packets per program and round of part a.
    #[arg(long)]
    packets: Option<u32>,
    /// Frames per second while the honest client works.
    #[arg(long, default_value_t = 1_000_000)]
    rate: u32,
    /// More rounds, longer floods, full tables: forty minutes.
    #[arg(long, conflicts_with = "smoke")]
    long: bool,
    /// One short round of everything, to see that it works; the numbers mean nothing.
    #[arg(long)]
    smoke: bool,
    /// Simulated hosts of part fleet.
    #[arg(long, value_parser = clap::value_parser!(u32).range(2..=5000))]
    hosts: Option<u32>,
    /// Bans per second of part fleet, of all hosts together.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1000))]
    bans: Option<u32>,
    /// Of the search for the worst packet.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where bench.json, bench.svg and floods.md go.
    #[arg(long, default_value = "target/bench")]
    out: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Time per packet by test runs, beside bare XDP_DROP and xdp-filter
    A,
    /// Floods at full speed: CPU time per packet, beside all peers
    B,
    /// An honest client during a flood, beside all peers
    C,
    /// A search for the packet that costs most, by test runs
    Worst,
    /// Floods of every kind, of closed, open and published ports, beside nftables: what gets through, what is sent back
    Floods,
    /// What honest clients notice of such floods of open ports, beside nftables; also a part of floods
    Clients,
    /// What a packet costs while nobody watches, while a sample is reported, and while every packet is, by test runs
    Watch,
    /// Log lines per second beside fail2ban, and the time from a line to the first packet that is dropped
    Logs,
    /// Bans between hosts: 200 simulated ones and two real ones at three real servers, one of which is killed
    Fleet,
}

fn subjects() -> Vec<&'static str> {
    let groups = rows::GROUPS.iter().map(|group| group.subject);
    groups.chain([BESIDE]).collect()
}

fn peers() -> Vec<&'static str> {
    let peers = Filter::ALL.into_iter().filter(|filter| filter.is_peer());
    peers.map(Filter::word).collect()
}

impl Args {
    fn wants(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }

    fn wants_rows(&self, subject: &str) -> bool {
        self.rows.is_empty() || self.rows.iter().any(|wanted| wanted == subject)
    }

    fn wants_filter(&self, filter: Filter) -> bool {
        !filter.is_peer()
            || self.peers.is_empty()
            || self.peers.iter().any(|wanted| wanted == filter.word())
    }

    fn rounds(&self, usual: usize) -> usize {
        if self.smoke {
            return 1;
        }
        let usual = if self.long { 15 } else { usual };
        self.rounds.unwrap_or(usual).max(5)
    }

    fn packets(&self) -> u32 {
        let usual = if self.smoke { 10_000 } else { 500_000 };
        self.packets.unwrap_or(usual)
    }

    fn plan(&self) -> Plan {
        let (flood, work) = match (self.smoke, self.long) {
            (true, _) => (100, 200),
            (false, true) => (1500, 4000),
            (false, false) => (600, 1500),
        };
        Plan {
            rounds: self.rounds(5),
            flood: Duration::from_millis(flood),
            work: Duration::from_millis(work),
            rate: self.rate,
        }
    }
}

fn main() -> Result<()> {
    let args = Args::parse();
    let _precedence = cpus::Precedence::take();
    let mut results = Results::default();
    if args.wants(Part::A) {
        test_runs(&args, &mut results)?;
    }
    if args.wants(Part::Worst) {
        worst_packets(&args, &mut results)?;
    }
    if args.wants(Part::Watch) {
        while_watched(&args, &mut results)?;
    }
    if args.wants(Part::B) || args.wants(Part::C) {
        end_to_end(&args, &mut results)?;
    }
    std::fs::create_dir_all(&args.out)?;
    let path = args.out.join("floods.md");
    if args.wants(Part::Floods) || args.wants(Part::Clients) {
        std::fs::write(&path, "")?;
    }
    if args.wants(Part::Floods) {
        flood_matrix(&args, &path, &mut results)?;
    }
    if args.wants(Part::Floods) || args.wants(Part::Clients) {
        results.honest = clients_of_floods(&args, &path)?;
        println!("tables for the documentation: {}", path.display());
    }
    if args.wants(Part::Logs) {
        let found = logs::measure(&logs::Plan::new(args.smoke), &args.out)?;
        println!("{}\n{}\n", found.table(), logs::EXPLANATION);
        results.logs = Some(found);
    }
    if args.wants(Part::Fleet) {
        let mut plan = fleet::Plan::new(args.smoke);
        plan.hosts = args.hosts.map_or(plan.hosts, |hosts| hosts as usize);
        plan.per_second = args.bans.unwrap_or(plan.per_second);
        match fleet::measure(&plan)? {
            Some(found) => {
                println!("\n{}{}\n", found.aims(), fleet::EXPLANATION);
                results.fleet = Some(found);
            }
            None => results.missing.push("nats-server"),
        }
    }
    let (json, svg) = (args.out.join("bench.json"), args.out.join("bench.svg"));
    std::fs::write(&json, results.json()?.to_string())?;
    std::fs::write(&svg, picture::svg(&results))?;
    println!("\nwritten to {} and {}", json.display(), svg.display());
    Ok(())
}

fn test_runs(args: &Args, results: &mut Results) -> Result<()> {
    // On a thread of its own, so that the rest may use the other CPUs.
    std::thread::scope(|scope| {
        let run = scope.spawn(|| {
            // All programs of a row on one CPU, so that they share its clock and caches.
            cpus::pin(cpus::receiver());
            rows_of_groups(args, results)?;
            rows_beside(args, results)
        });
        match run.join() {
            Ok(outcome) => outcome,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

fn while_watched(args: &Args, results: &mut Results) -> Result<()> {
    let (rounds, packets) = (args.rounds(15), args.packets());
    results.watched = on_own_thread(|| {
        cpus::pin(cpus::receiver());
        watched::cases()
            .iter()
            .map(|case| {
                let row = watched::measure(case, rounds, packets).with_context(|| case.name)?;
                println!("{}", row.line());
                Ok(row)
            })
            .collect()
    })?;
    println!("\n{}\n", watched::EXPLANATION);
    while_unwatched(args, results)
}

/// Every row of part a; one of them in a smoke run.
fn while_unwatched(args: &Args, results: &mut Results) -> Result<()> {
    let (rounds, packets) = (args.rounds(15), args.packets());
    let rows = rows::GROUPS
        .iter()
        .filter(|group| args.wants_rows(group.subject))
        .flat_map(|group| (group.rows)().into_iter().map(|case| (group.subject, case)));
    let most = if args.smoke { 1 } else { usize::MAX };
    results.unwatched = on_own_thread(|| {
        cpus::pin(cpus::receiver());
        rows.take(most)
            .map(|(subject, case)| {
                let row = case
                    .measure_unwatched(subject, rounds, packets)
                    .with_context(|| format!("{} with {} rules", case.name, case.rules()))?;
                println!("{}", row.line());
                Ok(row)
            })
            .collect()
    })?;
    println!(
        "{}\n\n{}\n",
        unwatched::summary(&results.unwatched),
        unwatched::EXPLANATION
    );
    Ok(())
}

fn worst_packets(args: &Args, results: &mut Results) -> Result<()> {
    let shapes = match (args.smoke, args.long) {
        (true, _) => 40,
        (false, true) => 20_000,
        (false, false) => 3000,
    };
    let plan = worst::Plan {
        seed: args.seed,
        shapes,
        rounds: args.rounds(15),
        packets: args.packets().min(100_000),
    };
    let mut outcome = Ok(());
    in_local_net(|net| {
        cpus::pin(cpus::receiver());
        outcome = [Size::Small, Size::Large].into_iter().try_for_each(|size| {
            for found in worst::search(net, size, &plan)? {
                println!("{}", report::worst_line(&found));
                results.worst.push(found);
            }
            Ok(())
        });
    });
    println!("\n{}\n", report::WORST);
    outcome
}

fn flood_plan(args: &Args) -> matrix::Plan {
    let (millis, extent) = match (args.smoke, args.long) {
        (true, _) => (500, Extent::Sample),
        (false, true) => (2000, Extent::Full),
        (false, false) => (1000, Extent::Full),
    };
    matrix::Plan {
        length: Duration::from_millis(millis),
        extent,
    }
}

/// Runs on a thread of its own, which stays on the CPU that sends.
fn on_own_thread<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    std::thread::scope(|scope| match scope.spawn(work).join() {
        Ok(found) => found,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}

fn append(path: &Path, text: &str) -> Result<()> {
    let mut file = std::fs::OpenOptions::new().append(true).open(path)?;
    Ok(file.write_all(text.as_bytes())?)
}

fn clients_of_floods(args: &Args, path: &Path) -> Result<Vec<matrix::honest::Row>> {
    let show = |rows: &[matrix::honest::Row]| -> Result<()> {
        println!("{}", matrix::honest_table::text(rows));
        append(path, &matrix::honest_table::markdown(rows))
    };
    let plan = flood_plan(args);
    let found = on_own_thread(|| matrix::clients(&plan, show))?;
    println!("{}\n", matrix::honest_table::explanation(&plan.work()));
    Ok(found)
}

fn flood_matrix(args: &Args, path: &Path, results: &mut Results) -> Result<()> {
    // Written table by table: what was measured stays if a later part fails.
    let show = |rows: &[matrix::Row]| -> Result<()> {
        println!("{}", matrix::table::text(rows));
        append(path, &matrix::table::markdown(rows))
    };
    let found = on_own_thread(|| matrix::measure(&flood_plan(args), show))?;
    println!("{}\n", matrix::table::EXPLANATION);
    results.matrix = found.rows;
    let picture = args.out.join("floods.svg");
    std::fs::write(&picture, picture::floods(&results.matrix))?;
    println!("picture: {}", picture.display());
    results.missing.extend(found.missing);
    Ok(())
}

fn rows_of_groups(args: &Args, results: &mut Results) -> Result<()> {
    let (rounds, packets) = (args.rounds(15), args.packets());
    let groups = rows::GROUPS
        .iter()
        .filter(|group| args.wants_rows(group.subject));
    for group in groups {
        let every = if args.smoke { SMOKE_STEP } else { 1 };
        for case in (group.rows)().into_iter().step_by(every) {
            let measured = case
                .measure(rounds, packets)
                .with_context(|| format!("{} with {} rules", case.name, case.rules()))?;
            println!("{}", report::line(&measured));
            results.rows.push((group.subject, measured));
        }
    }
    if args.wants_rows("flows") {
        let [empty, egress] = rows::flows::outgoing().measure_egress(rounds, packets)?;
        println!("{}", report::egress_line(&empty, &egress));
        results.egress = Some([empty, egress]);
    }
    if args.wants_rows("bans") {
        let [generator, read] = rows::bans::among_a_million().measure_read(rounds, packets)?;
        println!("{}", report::read_line(&generator, &read));
        results.read = Some([generator, read]);
        let floor = rows::bans::among_a_thousand().measure_floor(rounds, packets)?;
        println!("{}", report::floor_line(&floor));
        results.floor = Some(floor);
    }
    if !results.rows.is_empty() {
        println!("\n{}\n", report::EXPLANATION);
    }
    Ok(())
}

fn rows_beside(args: &Args, results: &mut Results) -> Result<()> {
    if !args.wants_rows(BESIDE) {
        return Ok(());
    }
    if !require::programs(Filter::XdpFilter.programs()) {
        results.missing.push(Filter::XdpFilter.name());
        return Ok(());
    }
    for row in rows::shared::rows(args.long) {
        let compared = row.measure(args.rounds(15), args.packets())?;
        println!("{}", report::beside_line(&compared));
        results.beside.push(compared);
    }
    println!("\n{}\n", report::BESIDE);
    Ok(())
}

fn end_to_end(args: &Args, results: &mut Results) -> Result<()> {
    let plan = args.plan();
    let mut cells = Vec::new();
    for filter in Filter::ALL {
        if !args.wants_filter(filter) {
            continue;
        }
        if require::programs(filter.programs()) {
            cells.push(Cell::new(filter)?);
        } else {
            results.missing.push(filter.name());
        }
    }
    if args.wants(Part::B) {
        let all: Vec<&Cell> = cells.iter().collect();
        results.floods = end_to_end::mitigate(&all, &[Kind::Syn, Kind::Udp], &plan)?;
        println!("{}{}\n", tables::floods(&results.floods), tables::FLOODS);
        let limited = [
            Cell::new(Filter::GuardLimit)?,
            Cell::new(Filter::GuardCookies)?,
        ];
        let mut compared: Vec<&Cell> = cells
            .iter()
            .filter(|cell| [Filter::BareDrop, Filter::GuardNative].contains(&cell.filter()))
            .collect();
        compared.extend(&limited);
        results.limited = end_to_end::mitigate(&compared, &[Kind::SynOnePort], &plan)?;
        println!("{}\n", tables::limited(&results.limited));
    }
    if args.wants(Part::C) {
        results.services = end_to_end::serve(&cells, Kind::Syn, &plan)?;
        println!(
            "{}{}\n",
            tables::service(&results.services),
            tables::SERVICE
        );
    }
    print!("{}", tables::aims(&results.floods, &results.services));
    Ok(())
}
