//! `guardctl web` beside an instance.

use super::{Background, Instance, until};

/// The page of an instance; killed with the value.
#[derive(Debug)]
pub struct GuardWeb {
    process: Background,
    url: String,
}

impl GuardWeb {
    /// Starts it; when this returns, it listens.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start(guard: &Instance) -> Self {
        let log = guard.folder().join("web.log");
        let mut process = Background::start(&mut guard.command(&["web"]), log);
        let mut url = String::new();
        until("guardctl web to print its address", || {
            process.assert_alive();
            let said = process.said();
            if let Some((line, _)) = said.split_once('\n') {
                line.clone_into(&mut url);
            }
            url.starts_with("http://")
        });
        Self { process, url }
    }

    /// What it printed.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The token in it.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn token(&self) -> &str {
        let (_, token) = self.url.split_once("/?token=").expect("a token");
        token
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// When it is gone.
    pub fn signal(&self, signal: libc::c_int) {
        let id = i32::try_from(self.process.id()).expect("a process number");
        // SAFETY: the call takes integers and touches no memory; a child that has not been waited for.
        let result = unsafe { libc::kill(id, signal) };
        assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
    }

    /// Waits until it has ended by itself.
    ///
    /// # Panics
    /// When it does not within ten seconds.
    pub fn wait(&mut self) {
        until("guardctl web to end", || self.process.has_ended());
    }
}
