//! Which samples are kept, which one is taken, and what is counted since.

use guard_common::abi::{reason::Reason, service::Service};

use super::*;
use crate::{layout::Layout, ruleset::testing::Folder};

const MINUTE: u64 = 60_000;

fn traffic(minute: u64, packets: &[u64]) -> Traffic {
    let counter = |packets| Counter {
        packets,
        bytes: 100 * packets,
    };
    let services = packets.iter().zip(0u16..);
    Traffic {
        instance: 7,
        boot_ms: minute * MINUTE,
        at: 1_000_000 + minute * 60,
        began: Some(1_000_000),
        reasons: vec![ReasonCounter {
            reason: Reason::DefaultDrop,
            counted: counter(packets.iter().sum()),
            monitored: Counter::default(),
        }],
        services: services
            .map(|(packets, port)| ServiceCounter {
                service: Service::tcp(port),
                passed: Counter::default(),
                dropped: counter(*packets),
                monitored: Counter::default(),
            })
            .collect(),
        interfaces: vec![InterfaceCounter {
            name: "eth0".to_owned(),
            index: 2,
            mode: None,
            packets: packets.iter().sum(),
            bytes: 0,
        }],
        ..Traffic::default()
    }
}

fn controller(folder: &Folder) -> Controller {
    Controller::new(Layout {
        etc: folder.path().join("etc"),
        state: folder.path().join("state"),
        run: folder.path().join("run"),
        bpffs: folder.path().join("bpffs"),
        units: folder.path().join("units"),
        version: 1,
    })
}

fn dropped(traffic: &Traffic) -> Vec<(u32, u64)> {
    let services = traffic.services.iter();
    services
        .map(|c| (c.service.row(), c.dropped.packets))
        .collect()
}

#[test]
fn what_was_counted_since_is_the_difference_and_never_below_nothing() {
    let then = TrafficSample::whole(&traffic(1, &[5, 7]));
    let row = |port| Service::tcp(port).row();

    let since = then.until(&traffic(2, &[5, 9, 1]));
    assert_eq!(dropped(&since), [(row(1), 2), (row(2), 1)]);
    assert_eq!(since.reasons[0].counted.packets, 3);
    assert_eq!(since.reasons[0].counted.bytes, 300);
    assert_eq!(since.interfaces[0].packets, 3);

    // An interface that was made anew counts from 0.
    let mut anew = traffic(2, &[1]);
    anew.interfaces[0].index = 3;
    assert_eq!(then.until(&anew).interfaces[0].packets, 1);
    assert_eq!(dropped(&then.until(&anew)), []);
}

#[test]
fn what_a_sample_left_out_counts_where_it_is_sure() {
    let then = TrafficSample::of(&traffic(1, &[50, 3, 4]), 1);
    assert_eq!(then.left_out(), Some(4));
    let row = |port| Service::tcp(port).row();
    let since = then.until(&traffic(2, &[51, 4, 9]));
    assert_eq!(dropped(&since), [(row(0), 1), (row(2), 5)]);
    assert_eq!(TrafficSample::whole(&traffic(1, &[50])).left_out(), None);
}

#[test]
fn samples_become_fewer_as_they_grow_old_and_the_oldest_stays_for_a_day() {
    let mut kept: BTreeSet<u64> = BTreeSet::new();
    for minute in 0..3 * 24 * 60 {
        kept.insert(minute * MINUTE);
        kept = wanted(kept.iter().copied(), minute * MINUTE);
        assert!(kept.len() <= 11 + 24 + 26, "{minute}: {}", kept.len());
        if minute < 24 * 60 {
            continue;
        }
        for ago in [1, 9, 55, 119, 600, 1439] {
            let wanted = (minute - ago) * MINUTE;
            let found = kept.range(..=wanted).next_back();
            let late = found.map_or(u64::MAX, |found| (wanted - found) / MINUTE);
            assert!(
                late <= (ago / 10).max(1) + 60 * u64::from(ago > 100),
                "{ago}: {late}"
            );
        }
    }
}

#[test]
fn the_sample_before_the_moment_is_taken_and_what_is_older_than_the_counters_means_all() {
    let folder = Folder::new();
    let controller = controller(&folder);
    let since = |since, minute| controller.sample(since, &traffic(minute, &[9]));
    let ago = |minutes: u64| Since::Ago(Duration::from_secs(60 * minutes));

    assert_eq!(
        since(ago(5), 20).expect_err("none yet").exit,
        Exit::NotFound
    );
    for minute in [10, 11, 12] {
        controller
            .keep_sample(&traffic(minute, &[minute]))
            .expect("kept");
    }
    let minute = |sample: Option<TrafficSample>| sample.map(|sample| sample.boot_ms / MINUTE);
    assert_eq!(minute(since(ago(2), 13).expect("found")), Some(11));
    assert_eq!(
        minute(since(ago(12), 13).expect("the first there is")),
        Some(10)
    );
    assert_eq!(minute(since(ago(13), 13).expect("all")), None);
    let at = Since::At(1_000_000 + 12 * 60);
    assert_eq!(minute(since(at, 13).expect("found")), Some(12));
    let later = Since::At(1_000_000 + 14 * 60);
    assert_eq!(since(later, 13).expect_err("yet to come").exit, Exit::Usage);
}

#[test]
fn samples_of_other_counters_and_what_is_none_are_not_believed() {
    let folder = Folder::new();
    let controller = controller(&folder);
    controller.keep_sample(&traffic(10, &[1])).expect("kept");
    controller.reset_view(&traffic(10, &[1])).expect("marked");
    let samples = controller.layout().samples();
    fs::write(samples.join("x.json"), "{").expect("a file");
    let pipe = samples.join("000000000600001.json");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).expect("a pipe");

    // Turned off and on: the same minute, other counters, and they begin at 0.
    let other = Traffic {
        instance: 8,
        ..traffic(11, &[0])
    };
    let wanted = Since::Ago(Duration::from_secs(60));
    for since in [wanted, Since::Reset] {
        let failure = controller.sample(since, &other).expect_err("not of these");
        assert_eq!(failure.exit, Exit::NotFound, "{}", failure.message);
    }
    controller.keep_sample(&other).expect("kept");
    assert_eq!(read_all(&samples).len(), 1, "the other one is gone");
}

#[test]
fn a_reset_counts_from_there() {
    let folder = Folder::new();
    let controller = controller(&folder);
    controller.reset_view(&traffic(10, &[4])).expect("marked");
    let now = traffic(10, &[6]);
    let sample = controller.sample(Since::Reset, &now).expect("found");
    let sample = sample.expect("a sample");
    assert_eq!(sample.until(&now).reasons[0].counted.packets, 2);
}

#[test]
fn a_folder_that_cannot_be_written_is_said() {
    let folder = Folder::new();
    let controller = controller(&folder);
    fs::create_dir_all(&controller.layout().run).expect("a folder");
    fs::write(controller.layout().samples(), "a file").expect("written");
    let failure = controller
        .keep_sample(&traffic(1, &[1]))
        .expect_err("no folder");
    assert_eq!(failure.exit, Exit::Failed);
    assert!(failure.message.contains("samples"), "{}", failure.message);
}
