//! The terminal while `top` has it, and as it was before when it is given back.

use std::{
    env,
    fs::File,
    io::{self, IsTerminal as _, Read as _, Stdout, Write as _},
    os::fd::AsFd as _,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use crossterm::{
    cursor, execute,
    terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode},
};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use ratatui::{Frame, Terminal, backend::CrosstermBackend, layout::Size};

use super::{
    figures::Glyphs,
    keys::{Bytes, Key},
};
use crate::failure::{Exit, Failure, from_io};

/// The bytes of one key come within this time, also from far away.
const SEQUENCE: Duration = Duration::from_millis(100);

/// The terminal is ours: a panic gives it back before it says anything.
static IS_OURS: AtomicBool = AtomicBool::new(false);

/// What was typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Typed {
    /// This key.
    Key(Key),
    /// Nothing yet.
    Nothing,
    /// Nobody is there any more.
    Gone,
}

/// A screen of its own, beside what the terminal showed before.
pub(super) struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
    size: Size,
    keyboard: File,
    bytes: Bytes,
}

impl Screen {
    /// Takes the terminal.
    ///
    /// # Errors
    /// Exit 2 when there is none that can show it.
    pub(super) fn take() -> Result<Self, Failure> {
        refuse_what_is_no_screen()?;
        let failed = |error: io::Error| from_io("cannot use the terminal", &error);
        // Unbuffered, for it is waited for by its descriptor.
        let keyboard = io::stdin().as_fd().try_clone_to_owned().map_err(failed)?;
        give_back_on_panic();
        IS_OURS.store(true, Ordering::SeqCst);
        let taken = enable_raw_mode()
            .and_then(|()| execute!(io::stdout(), EnterAlternateScreen, cursor::Hide))
            .and_then(|()| Terminal::new(CrosstermBackend::new(io::stdout())));
        match taken {
            Ok(terminal) => {
                let size = terminal.size().unwrap_or_default();
                Ok(Self {
                    terminal,
                    size,
                    keyboard: File::from(keyboard),
                    bytes: Bytes::default(),
                })
            }
            Err(error) => {
                give_back();
                Err(failed(error))
            }
        }
    }

    /// Draws; only what has changed is sent. `false` when nobody is there any more.
    pub(super) fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> bool {
        self.size = self.terminal.size().unwrap_or(self.size);
        self.terminal.draw(draw).is_ok()
    }

    /// Has the window another size than what was drawn?
    pub(super) fn is_resized(&self) -> bool {
        self.terminal.size().is_ok_and(|size| size != self.size)
    }

    /// What was typed, at most so long from now.
    pub(super) fn typed(&mut self, most: Duration) -> Typed {
        if let Some(key) = self.bytes.next() {
            return Typed::Key(key);
        }
        let most = if self.bytes.has_part() {
            SEQUENCE
        } else {
            most
        };
        let mut waiting = [PollFd::new(self.keyboard.as_fd(), PollFlags::POLLIN)];
        let timeout = PollTimeout::try_from(most).unwrap_or(PollTimeout::ZERO);
        match poll(&mut waiting, timeout) {
            // Interrupted: as if the time were over.
            Err(_) => return Typed::Nothing,
            Ok(0) => return self.bytes.end().map_or(Typed::Nothing, Typed::Key),
            Ok(_) => {}
        }
        let mut read = [0; 256];
        match self.keyboard.read(&mut read) {
            Ok(0) => return Typed::Gone,
            Ok(count) => self.bytes.add(&read[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return Typed::Gone,
        }
        self.bytes.next().map_or(Typed::Nothing, Typed::Key)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

/// Once, whoever is first.
fn give_back() {
    if IS_OURS.swap(false, Ordering::SeqCst) {
        // Where nobody is there any more, there is nothing to give back.
        execute!(io::stdout(), LeaveAlternateScreen, cursor::Show).unwrap_or_default();
        disable_raw_mode().unwrap_or_default();
        io::stdout().flush().unwrap_or_default();
    }
}

fn give_back_on_panic() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        // One that is caught and becomes an error says nothing.
        if !crate::database::is_guarded() {
            give_back();
        }
        before(panic);
    }));
}

fn refuse_what_is_no_screen() -> Result<(), Failure> {
    let no = |what: &str| {
        Err(Failure::new(Exit::Usage, what).help(
            "`guardctl top --once` prints one frame anywhere, and `--once --json` the figures",
        ))
    };
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        return no("top needs a terminal for its input and its output");
    }
    match env::var("TERM") {
        Ok(term) if term == "dumb" => no("TERM=dumb: this terminal cannot place text"),
        Ok(term) if !term.is_empty() => Ok(()),
        Ok(_) | Err(_) => no("TERM is not set: it is not known what this terminal can do"),
    }
}

/// Are there blocks in the characters that the operator's programs use?
pub(super) fn glyphs() -> Glyphs {
    let names = ["LC_ALL", "LC_CTYPE", "LANG"];
    let mut values = names.iter().filter_map(|name| env::var(name).ok());
    let value = values.find(|value| !value.is_empty()).unwrap_or_default();
    let value = value.to_lowercase();
    if value.contains("utf-8") || value.contains("utf8") {
        Glyphs::Unicode
    } else {
        Glyphs::Ascii
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_gives_the_terminal_back_and_one_that_becomes_an_error_does_not() {
        give_back_on_panic();
        IS_OURS.store(true, Ordering::SeqCst);
        let caught: Result<(), redb::Error> = crate::database::guarded(|| panic!("caught"));
        assert!(caught.is_err());
        assert!(IS_OURS.load(Ordering::SeqCst));
        std::panic::catch_unwind(|| panic!("on purpose")).expect_err("it panics");
        assert!(!IS_OURS.load(Ordering::SeqCst));
    }
}
