//! `capture`: packets as the filter counts them, into a file that Wireshark reads.

use std::{
    fs::File,
    io::{self, IsTerminal as _, Write as _},
    os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde_json::json;

use super::{
    context::Context,
    watch::{Viewer, Which, usage, watch},
};
use crate::{
    controller::{Extent, Sighting, Watch},
    events::pcapng::{Blocks, CannotWrite, Captured},
    failure::{Exit, Failure, from_io},
};

/// Bytes that are written at once.
const WHOLE: usize = 1 << 18;

pub(super) struct CaptureArgs<'a> {
    pub(super) which: &'a Which,
    pub(super) file: &'a Path,
    pub(super) is_all: bool,
    pub(super) snap: u32,
}

pub(super) fn capture(context: &mut Context<'_>, args: &CaptureArgs<'_>) -> Result<Exit, Failure> {
    let target = Target::open(args.file)?;
    let blocks = Blocks::new(args.snap, now()).map_err(cannot)?;
    let mut viewer = Capturing {
        target,
        blocks,
        most: args.which.count.unwrap_or(u64::MAX),
        captured: 0,
        is_unread: false,
    };
    let filter = args.which.filter(args.is_all);
    let extent = Extent::Everything(args.snap);
    let watch = watch(context, filter, extent, args.which.length, &mut viewer)?;
    // With a filter that only this side knows, more was due than was wanted.
    let lost = watch.loss().lost;
    let name = |index| watch.interface(index);
    let captured = viewer.captured;
    viewer
        .blocks
        .end(now(), captured, lost, &name)
        .map_err(cannot)?;
    viewer.write()?;
    let file = args.file.display().to_string();
    if viewer.target.is_stdout {
        // The packets have the output; people are told beside it.
        writeln!(io::stderr(), "{}", in_words(captured, lost)).unwrap_or_default();
    } else {
        context.output.show(
            |out| writeln!(out, "{}: {}", file, in_words(captured, lost)),
            || json!({"file": file, "captured": captured, "lost": lost}),
        );
    }
    Ok(Exit::Ok)
}

fn in_words(captured: u64, lost: u64) -> String {
    let packets = if captured == 1 { "packet" } else { "packets" };
    match lost {
        0 => format!("{captured} {packets} captured, none lost"),
        lost => format!(
            "{captured} {packets} captured, {lost} lost: they came faster than they were written"
        ),
    }
}

fn now() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

fn cannot(error: CannotWrite) -> Failure {
    Failure::new(Exit::Failed, error.to_string())
}

struct Capturing {
    target: Target,
    blocks: Blocks,
    most: u64,
    captured: u64,
    is_unread: bool,
}

impl Capturing {
    /// Puts down what there is.
    fn write(&mut self) -> Result<(), Failure> {
        if self.blocks.is_empty() || self.is_unread {
            return Ok(());
        }
        let bytes = self.blocks.take();
        match self.target.write(&bytes) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                // Whoever read it has seen enough.
                self.is_unread = true;
                Ok(())
            }
            Err(error) => {
                let name = self.target.name.display();
                let what = format!("{name}: {error}, behind {} bytes", self.target.len);
                let help = "what was written until then is whole packets, and can be read";
                Err(Failure::new(Exit::Failed, what).help(help))
            }
        }
    }
}

impl Viewer for Capturing {
    fn look(&mut self, watch: &mut Watch) -> Result<bool, Failure> {
        loop {
            let mut packets: Vec<(u32, Vec<u8>, Kept)> = Vec::new();
            let room = self.most - self.captured;
            let is_all = watch.sightings(|sighting| {
                if (packets.len() as u64) < room {
                    packets.push((
                        sighting.ifindex,
                        sighting.bytes.to_vec(),
                        Kept::of(sighting),
                    ));
                }
            });
            let name = |index| watch.interface(index);
            for (ifindex, bytes, kept) in &packets {
                let packet = Captured {
                    ifindex: *ifindex,
                    queue: kept.queue,
                    time: kept.time,
                    frame_len: kept.frame_len,
                    bytes,
                    action: kept.action,
                    comment: &kept.comment,
                };
                self.blocks.add(&packet, &name).map_err(cannot)?;
            }
            self.captured += packets.len() as u64;
            let is_enough = self.captured >= self.most;
            if is_enough || self.blocks.len() >= WHOLE {
                self.write()?;
            }
            if is_enough || self.is_unread {
                return Ok(false);
            }
            if is_all {
                break;
            }
            // More than one look takes: the filter must not think that nobody watches.
            watch.tend()?;
        }
        self.write()?;
        Ok(!self.is_unread)
    }

    fn second(&mut self, _watch: &mut Watch) -> Result<bool, Failure> {
        Ok(!self.is_unread)
    }

    fn is_active(&mut self, is_active: bool) {
        let what = if is_active {
            "guard is on again: capturing goes on"
        } else {
            "guard is off: nothing to capture until it is on again"
        };
        // Nobody may read it; the capture goes on.
        writeln!(io::stderr(), "guardctl: {what}").unwrap_or_default();
    }
}

/// What is kept of a packet until its block is made.
struct Kept {
    queue: u32,
    time: Duration,
    frame_len: u32,
    action: guard_common::abi::reason::Action,
    comment: String,
}

impl Kept {
    fn of(sighting: &Sighting<'_>) -> Self {
        let counted = sighting.counted;
        let verdict = if counted.is_monitored {
            "would drop"
        } else {
            counted.action.label()
        };
        let mut comment = format!("guard: {verdict} {}", counted.reason.label());
        if let Some(rule) = sighting.rule {
            comment.push_str(&format!(" rule {rule}"));
        }
        Self {
            queue: sighting.queue,
            time: sighting.time,
            frame_len: sighting.frame_len,
            action: counted.action,
            comment,
        }
    }
}

/// Where the packets go.
struct Target {
    name: PathBuf,
    file: File,
    is_stdout: bool,
    /// A file that can be cut back to whole blocks.
    is_regular: bool,
    len: u64,
}

impl Target {
    fn open(path: &Path) -> Result<Self, Failure> {
        if path == Path::new("-") {
            if io::stdout().is_terminal() {
                return Err(usage(
                    "-w -: packets are no text for a terminal",
                    "write to a file, or into a program: `guardctl capture -w - | tshark -r -`",
                ));
            }
            let stdout = own_stdout().map_err(|error| from_io("stdout", &error))?;
            return Ok(Self {
                name: "stdout".into(),
                file: stdout,
                is_stdout: true,
                is_regular: false,
                len: 0,
            });
        }
        let failed = |error: &io::Error| from_io(path.display(), error);
        // What packets hold is for the one who captures them.
        let file = File::options()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .custom_flags(libc::O_NONBLOCK)
            .open(path)
            .map_err(|error| match error.raw_os_error() {
                Some(libc::ENXIO) => Failure::new(
                    Exit::Failed,
                    format!("{}: a pipe that nobody reads", path.display()),
                )
                .help("start the reader first"),
                _ => failed(&error),
            })?;
        let kind = file.metadata().map_err(|error| failed(&error))?.file_type();
        if kind.is_fifo() {
            wait_when_full(&file).map_err(|error| failed(&error))?;
        }
        Ok(Self {
            name: path.to_owned(),
            file,
            is_stdout: false,
            is_regular: kind.is_file(),
            len: 0,
        })
    }

    /// All of it, or none that would be read as half a block.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self.file.write_all(bytes) {
            Ok(()) => {
                self.len += bytes.len() as u64;
                Ok(())
            }
            Err(error) => {
                if self.is_regular {
                    // The reason for the end is the one to be shown.
                    self.file.set_len(self.len).ok();
                }
                Err(error)
            }
        }
    }
}

/// The standard output as a file of our own.
fn own_stdout() -> io::Result<File> {
    use std::os::fd::AsFd as _;
    io::stdout().as_fd().try_clone_to_owned().map(File::from)
}

/// Only the one who opens a pipe must not wait.
fn wait_when_full(file: &File) -> io::Result<()> {
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    fcntl(file, FcntlArg::F_SETFL(OFlag::empty()))?;
    Ok(())
}
