//! What containers write comes out of the engine's own files as they wrote it.

use std::{collections::BTreeSet, fs};

use guard_tests::{
    lab::{DOCKER_PROGRAMS, Dockerd, Topology},
    require,
};
use guard_user::logs::docker::{Decoder, Why, log_files};

/// 40 000 bytes without a line feed are three parts; the last line has no end at all.
const WRITES: &str = "echo 'one \"two\"'; \
    i=0; while [ $i -lt 2500 ]; do printf 'a word of 16 b. '; i=$((i+1)); done; echo from 203.0.113.7; \
    echo wrong >&2; printf 'Failed from 203.0.113.1'";

#[test]
fn lines_of_containers_come_out_as_they_were_written() {
    if !(require::root() && require::programs(&DOCKER_PROGRAMS)) {
        return;
    }
    let lab = Topology::new();
    let docker = Dockerd::start(&lab.srv);
    let alone = ["--network", "none"];
    drop(docker.ended_container("web-1", &alone, &["sh", "-c", WRITES]));
    // Its next life writes into the same file.
    drop(docker.docker(&["start", "--attach", "web-1"]));
    let other = [&alone[..], &["--log-driver", "none"]].concat();
    drop(docker.ended_container("quiet", &other, &["true"]));

    let found = log_files(&docker.root(), "web-*").expect("a log");
    assert_eq!((found.files.len(), found.unread.len()), (1, 0));
    let file = &found.files[0];
    let mut decoder = Decoder::new();
    let mut lines = Vec::new();
    let mut times = BTreeSet::new();
    for entry in fs::read(file)
        .expect("the log")
        .split(|byte| *byte == b'\n')
    {
        if entry.is_empty() {
            continue;
        }
        decoder.line(file, entry, &mut |text, time| {
            lines.push(String::from_utf8(text.to_vec()).expect("text"));
            times.insert(time.expect("a time"));
        });
    }

    let long = "a word of 16 b. ".repeat(2500) + "from 203.0.113.7";
    let mut expected = ["one \"two\"", &long, "wrong"].repeat(2);
    // The two streams are copied side by side.
    expected.sort_unstable();
    lines.sort_unstable();
    assert!(lines == expected, "{lines:?}");
    let counts = decoder.take_counts();
    assert_eq!((counts.unreadable, counts.cut), (0, 0));
    // The first life's; the second's may still go on.
    assert_eq!(counts.unfinished, 1);
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("after 1970");
    let now = i64::try_from(now.as_millis()).expect("a time");
    assert!(
        times
            .iter()
            .all(|time| (now - 600_000..=now).contains(time))
    );

    let Err(Why::OtherDrivers(others)) = log_files(&docker.root(), "quiet") else {
        panic!("a log without a driver");
    };
    assert_eq!(others[0].driver, "none");
}
