//! A program at a terminal: what it says there, and what is typed.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    os::{
        fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
        unix::process::ExitStatusExt as _,
    },
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use super::{until, within};

/// Most that a program may take to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// A program with a pseudo-terminal as input and output; killed with the value. Behind `setsid
/// --ctty` the terminal is its own, with Ctrl-C and hang-up.
#[derive(Debug)]
pub struct Terminal {
    keyboard: File,
    child: Child,
    said: String,
    bytes: Vec<u8>,
}

impl Terminal {
    /// Starts it.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start(command: &mut Command) -> Self {
        let (keyboard, screen) = Self::pair();
        // SAFETY: an open descriptor and integers.
        let result = unsafe { libc::fcntl(keyboard.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) };
        assert_eq!(result, 0, "O_NONBLOCK");
        let copy = || Stdio::from(screen.try_clone().expect("a descriptor"));
        let child = command
            .stdin(copy())
            .stdout(copy())
            .stderr(copy())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        // The command keeps its copies of the descriptors, which would keep the line up.
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Self {
            keyboard,
            child,
            said: String::new(),
            bytes: Vec::new(),
        }
    }

    /// Gives the window a size, as whoever drags its corner.
    ///
    /// # Panics
    /// When the kernel does not take it.
    pub fn resize(&mut self, columns: u16, rows: u16) {
        let size = libc::winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        // SAFETY: an open descriptor, and a live structure of the kind that the call reads.
        let result =
            unsafe { libc::ioctl(self.keyboard.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) };
        assert_eq!(result, 0, "TIOCSWINSZ");
    }

    /// How the line is set: does it echo, and does it wait for whole lines?
    ///
    /// # Panics
    /// When the kernel does not say.
    #[must_use]
    pub fn is_raw(&self) -> bool {
        let mut settings = std::mem::MaybeUninit::<libc::termios>::uninit();
        // SAFETY: an open descriptor, and room for what the call writes.
        let result = unsafe { libc::tcgetattr(self.keyboard.as_raw_fd(), settings.as_mut_ptr()) };
        assert_eq!(result, 0, "tcgetattr");
        // SAFETY: the call succeeded, so it has written all of it.
        let settings = unsafe { settings.assume_init() };
        settings.c_lflag & (libc::ECHO | libc::ICANON) == 0
    }

    /// The two ends of a pseudo-terminal: the person's, the program's.
    ///
    /// # Panics
    /// When the kernel has none.
    #[must_use]
    pub fn pair() -> (File, OwnedFd) {
        let (mut master, mut slave) = (-1, -1);
        let null = std::ptr::null_mut();
        // SAFETY: two live integers to write to; null asks for no name and for the usual settings.
        let result = unsafe {
            libc::openpty(
                &raw mut master,
                &raw mut slave,
                null,
                std::ptr::null(),
                std::ptr::null(),
            )
        };
        assert_eq!(result, 0, "openpty");
        // Another program of the tests that kept the line open would hide a hang-up.
        for end in [master, slave] {
            // SAFETY: a descriptor that the call above has made, and integers.
            let result = unsafe { libc::fcntl(end, libc::F_SETFD, libc::FD_CLOEXEC) };
            assert_eq!(result, 0, "FD_CLOEXEC");
        }
        // SAFETY: the call succeeded, so this is an open descriptor that nobody else owns.
        let master = unsafe { OwnedFd::from_raw_fd(master) };
        // SAFETY: as above.
        let slave = unsafe { OwnedFd::from_raw_fd(slave) };
        (File::from(master), slave)
    }

    /// Types.
    ///
    /// # Panics
    /// When nobody holds the other end.
    pub fn type_in(&mut self, text: &str) {
        self.keyboard.write_all(text.as_bytes()).expect("types");
    }

    /// Everything on the screen so far.
    pub fn said(&mut self) -> &str {
        let mut bytes = [0; 4096];
        while let Ok(count @ 1..) = self.keyboard.read(&mut bytes) {
            self.said
                .push_str(&String::from_utf8_lossy(&bytes[..count]));
            self.bytes.extend_from_slice(&bytes[..count]);
        }
        &self.said
    }

    /// The same, byte by byte.
    pub fn bytes(&mut self) -> &[u8] {
        self.said();
        &self.bytes
    }

    /// Waits until this is on the screen.
    ///
    /// # Panics
    /// When it does not come.
    pub fn until_said(&mut self, text: &str) {
        let came = within(PATIENCE, || self.said().contains(text).then_some(()));
        assert!(came.is_some(), "{text:?} was not said:\n{}", self.said);
    }

    /// Waits for its end: the exit code.
    ///
    /// # Panics
    /// When it does not end, or by a signal.
    pub fn ends(&mut self) -> i32 {
        let status = self.ended();
        status
            .code()
            .unwrap_or_else(|| panic!("{status}:\n{}", self.said))
    }

    /// Hangs up and waits for the end of the program; the signal that ended it.
    ///
    /// # Panics
    /// When it does not end.
    pub fn hang_up(mut self) -> Option<i32> {
        let (nobody, _) = Self::pair();
        drop(std::mem::replace(&mut self.keyboard, nobody));
        self.ended().signal()
    }

    /// Its process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    fn ended(&mut self) -> ExitStatus {
        let mut status = None;
        until("the program to end", || {
            // A full screen would stop it.
            self.said();
            status = self.child.try_wait().expect("our own child");
            status.is_some()
        });
        status.expect("waited for above")
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
