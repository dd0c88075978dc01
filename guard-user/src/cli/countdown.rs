//! The wait for an answer at a terminal. It holds no lock, so that another terminal can answer too,
//! and whatever ends it without an answer leaves the deadline to the kernel.

use std::{
    io::{self, BufRead as _, IsTerminal as _, Write as _},
    os::fd::{AsFd as _, BorrowedFd},
    time::Duration,
};

use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        signal::{SigSet, Signal},
        signalfd::{SfdFlags, SignalFd},
        termios::{FlushArg, tcflush},
    },
    unistd::{getpgrp, tcgetpgrp},
};

use super::args::Global;
use crate::{
    controller::{Consent, Controller, Pending},
    failure::{Exit, Failure},
    output::Output,
};

/// What came of the wait.
enum WaitOutcome {
    Keep,
    Return,
    /// Nobody is there any more.
    HungUp,
    /// The time is over, or somebody answered elsewhere.
    Over,
}

/// May a person be asked? `--yes` answers questions; it does not confirm.
pub(super) fn is_possible(global: &Global) -> bool {
    let is_spoken_to = !global.json && !global.quiet && !global.yes;
    is_spoken_to
        && io::stdin().is_terminal()
        && io::stderr().is_terminal()
        // A job in the background cannot read what is typed.
        && tcgetpgrp(io::stdin()).is_ok_and(|group| group == getpgrp())
}

/// Counts down until an answer comes, here or elsewhere, or the time is over.
pub(super) fn wait(
    controller: &Controller,
    pending: Pending,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let answer = ask(controller, pending)
        .map_err(|error| crate::failure::from_io("cannot ask for the confirmation", &error))?;
    match answer {
        WaitOutcome::Keep => super::confirm::confirm(controller, Consent::default(), output),
        WaitOutcome::Return => {
            super::confirm::rollback_pending(controller, Consent::default(), output)?;
            Ok(Exit::Failed)
        }
        // The deadline runs on.
        WaitOutcome::HungUp => Ok(Exit::Ok),
        WaitOutcome::Over => over(controller, pending, output),
    }
}

/// Says how it went without this terminal.
fn over(controller: &Controller, pending: Pending, output: &mut Output) -> Result<Exit, Failure> {
    if controller.status()?.generation == pending.generation {
        let generation = pending.generation;
        output.show(
            |out| writeln!(out, "confirmed elsewhere: generation {generation} stays"),
            || serde_json::json!({}),
        );
        return Ok(Exit::Ok);
    }
    let returned = match pending.previous_generation {
        0 => "guard is off again, every packet passes".to_owned(),
        generation => format!("generation {generation} is in force again"),
    };
    Err(Failure::new(
        Exit::Failed,
        format!("the change was not confirmed: {returned}"),
    )
    .help("make it again, with a longer --confirm if need be"))
}

fn ask(controller: &Controller, pending: Pending) -> io::Result<WaitOutcome> {
    let mut interrupt = SigSet::empty();
    interrupt.add(Signal::SIGINT);
    interrupt.thread_block()?;
    let interrupted = SignalFd::with_flags(&interrupt, SfdFlags::SFD_CLOEXEC)?;
    let stdin = io::stdin();
    // What was typed before the question is no answer to it.
    tcflush(stdin.as_fd(), FlushArg::TCIFLUSH)?;
    let mut error = io::stderr();
    writeln!(
        error,
        "Log in from a second terminal now. If that works, press enter (or y) here to keep the \
         change;\nn or Ctrl-C takes it back at once."
    )?;
    let answer = loop {
        let Ok(Some(now)) = controller.pending() else {
            break WaitOutcome::Over;
        };
        if now.generation != pending.generation {
            break WaitOutcome::Over;
        }
        write!(error, "\r{:>4} s left, then {} ", now.seconds(), now.then())?;
        error.flush()?;
        let pause = now.left.min(Duration::from_secs(1));
        match wait_for(stdin.as_fd(), &interrupted, pause)? {
            Event::Tick => {}
            Event::Interrupted => break WaitOutcome::Return,
            Event::HungUp => break WaitOutcome::HungUp,
            Event::Line => {
                let mut line = String::new();
                if stdin.lock().read_line(&mut line).unwrap_or(0) == 0 {
                    break WaitOutcome::HungUp;
                }
                match line.trim() {
                    "" | "y" | "Y" | "yes" => break WaitOutcome::Keep,
                    "n" | "N" | "no" => break WaitOutcome::Return,
                    _ => writeln!(error, "enter or y keeps the change, n takes it back")?,
                }
            }
        }
    };
    writeln!(error).ok();
    Ok(answer)
}

enum Event {
    Tick,
    Line,
    Interrupted,
    HungUp,
}

fn wait_for(stdin: BorrowedFd<'_>, interrupted: &SignalFd, pause: Duration) -> io::Result<Event> {
    let mut sources = [
        PollFd::new(stdin, PollFlags::POLLIN),
        PollFd::new(interrupted.as_fd(), PollFlags::POLLIN),
    ];
    let timeout = PollTimeout::try_from(pause).unwrap_or(PollTimeout::MAX);
    poll(&mut sources, timeout)?;
    let is = |at: usize, flag| {
        let events = sources[at].revents();
        events.is_some_and(|events| events.intersects(flag))
    };
    Ok(if is(1, PollFlags::POLLIN) {
        Event::Interrupted
    } else if is(0, PollFlags::POLLIN) {
        Event::Line
    } else if is(0, PollFlags::POLLHUP | PollFlags::POLLERR) {
        Event::HungUp
    } else {
        Event::Tick
    })
}
