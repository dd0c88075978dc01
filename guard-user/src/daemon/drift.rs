//! Two clocks that come apart: the kernel's clock of bans stands still while the host is suspended, and is not
//! disciplined; the ends of bans are by the time since boot, and are written anew when it matters.

use std::{fs, path::PathBuf, time::Duration};

use crate::state_file;

/// So far apart they may come, by a suspend or little by little.
const APART: Duration = Duration::from_secs(1);

/// How far the kernel's clock was behind when all ends were written, kept beside the tables for the next
/// daemon: a suspend while none runs shows too. Others write ends meanwhile, by later offsets than this one,
/// so it may only lead to a writing too many. A boot begins without tables and without it.
#[derive(Debug)]
pub(super) struct Drift {
    written: Option<Duration>,
    kept: PathBuf,
}

impl Drift {
    /// As it is kept in a file; without one nothing is known, and the ends are written once.
    pub(super) fn kept(file: PathBuf) -> Self {
        let text = state_file::read_text(&file).unwrap_or_default();
        let written = text.trim().parse().ok().map(Duration::from_millis);
        Self {
            written,
            kept: file,
        }
    }

    /// Has the ends written anew when the clocks have come apart since that was done. A failure is tried again
    /// the next time.
    pub(super) fn follow<E>(
        &mut self,
        behind: Duration,
        rewrite: impl FnOnce() -> Result<(), E>,
    ) -> Result<(), E> {
        let is_right = |written: Duration| behind.abs_diff(written) < APART;
        if self.written.is_some_and(is_right) {
            return Ok(());
        }
        rewrite()?;
        self.written = Some(behind);
        // If it cannot be kept, the next daemon writes the ends once more.
        fs::write(&self.kept, format!("{}\n", behind.as_millis())).ok();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const HOUR: Duration = Duration::from_secs(3600);

    /// A host with both clocks, a ban, and the daemon that looks after it.
    struct Host {
        since_boot: Duration,
        kernel: Duration,
        /// By the time since boot: what the store says.
        end: Duration,
        /// By the kernel's clock: what the program compares.
        end_in_kernel: Duration,
        drift: Drift,
        run: tempfile::TempDir,
        written: usize,
    }

    impl Host {
        fn with_ban(length: Duration) -> Self {
            let (since_boot, kernel) = (5 * HOUR, 2 * HOUR);
            let run = tempfile::tempdir().expect("a folder");
            let mut host = Self {
                since_boot,
                kernel,
                end: since_boot + length,
                end_in_kernel: kernel + length,
                drift: Drift::kept(run.path().join("clock")),
                run,
                written: 0,
            };
            host.look();
            assert_eq!(host.written, 1, "nothing was known");
            host.written = 0;
            host
        }

        /// The daemon goes, and another comes after a while.
        fn exchange_daemon(&mut self, meanwhile: impl FnOnce(&mut Self)) {
            meanwhile(self);
            self.drift = Drift::kept(self.run.path().join("clock"));
        }

        fn pass(&mut self, time: Duration) {
            self.since_boot += time;
            self.kernel += time;
        }

        fn suspend(&mut self, time: Duration) {
            self.since_boot += time;
        }

        fn look(&mut self) {
            let behind = self.since_boot - self.kernel;
            let (since_boot, kernel, end) = (self.since_boot, self.kernel, self.end);
            let (in_kernel, written) = (&mut self.end_in_kernel, &mut self.written);
            let rewrite = || {
                *in_kernel = kernel + end.saturating_sub(since_boot);
                *written += 1;
                Ok::<(), ()>(())
            };
            self.drift.follow(behind, rewrite).expect("written");
        }

        fn is_banned(&self) -> bool {
            self.kernel < self.end_in_kernel
        }
    }

    #[test]
    fn a_ban_that_ended_in_a_suspend_is_over_at_the_next_look() {
        let mut host = Host::with_ban(HOUR / 6);
        host.suspend(HOUR);
        assert!(host.is_banned(), "nothing else would have ended it");
        host.look();
        assert!(!host.is_banned());
    }

    #[test]
    fn a_suspend_without_a_daemon_is_seen_by_the_next_one() {
        let mut host = Host::with_ban(HOUR / 6);
        host.exchange_daemon(|host| host.suspend(HOUR));
        assert!(host.is_banned(), "nothing else would have ended it");
        host.look();
        assert!(!host.is_banned());
    }

    #[test]
    fn the_next_daemon_writes_nothing_if_the_clocks_went_on_together() {
        let mut host = Host::with_ban(HOUR);
        host.exchange_daemon(|host| host.pass(HOUR / 2));
        host.look();
        assert_eq!(host.written, 0);
    }

    #[test]
    fn a_file_that_says_nothing_has_the_ends_written_once() {
        let mut host = Host::with_ban(HOUR);
        for text in ["", "soon", "-1"] {
            let file = host.run.path().join("clock");
            host.exchange_daemon(|_| fs::write(file, text).expect("written"));
            host.look();
            host.look();
        }
        assert_eq!(host.written, 3);
    }

    #[test]
    fn a_ban_that_outlasts_suspends_ends_when_it_should_have() {
        let mut host = Host::with_ban(3 * HOUR);
        for _ in 0..4 {
            host.suspend(HOUR / 2);
            host.look();
        }
        host.pass(HOUR - SECOND);
        host.look();
        assert!(host.is_banned());
        host.pass(2 * SECOND);
        assert!(!host.is_banned());
        assert_eq!(host.written, 4);
    }

    #[test]
    fn clocks_that_hardly_differ_cost_nothing_and_do_not_add_up() {
        let mut host = Host::with_ban(HOUR);
        for _ in 0..9 {
            host.pass(60 * SECOND);
            host.suspend(SECOND / 10);
            host.look();
        }
        assert_eq!(host.written, 0);
        for _ in 0..30 {
            host.pass(60 * SECOND);
            host.suspend(SECOND / 10);
            host.look();
        }
        assert_eq!(host.written, 3);
        // The kernel's clock may also be the faster one.
        host.kernel += 2 * SECOND;
        host.look();
        assert_eq!(host.written, 4);
        let left = host.end - host.since_boot;
        assert_eq!(host.end_in_kernel - host.kernel, left);
    }

    #[test]
    fn what_could_not_be_written_is_tried_again() {
        let run = tempfile::tempdir().expect("a folder");
        let mut drift = Drift::kept(run.path().join("clock"));
        assert_eq!(drift.follow(HOUR, || Err("full")), Err("full"));
        assert_eq!(drift.follow(HOUR, || Ok::<(), &str>(())), Ok(()));
        assert_eq!(drift.follow(HOUR, || Err("unused")), Ok(()));
        assert_eq!(drift.follow(2 * HOUR, || Err("full")), Err("full"));
        assert_eq!(drift.follow(2 * HOUR, || Err("still")), Err("still"));
        assert_eq!(drift.follow(2 * HOUR, || Ok::<(), &str>(())), Ok(()));
        assert_eq!(drift.follow(2 * HOUR, || Err("unused")), Ok(()));
    }
}
