//! Two clocks that come apart: the kernel's clock of bans stands still while the host is suspended, and is not
//! disciplined; the ends of bans are by the time since boot, and are written anew when it matters.

use std::time::Duration;

/// So far apart they may come, by a suspend or little by little.
const APART: Duration = Duration::from_secs(1);

/// How far the kernel's clock was behind when the ends were written.
#[derive(Debug, Default)]
pub(super) struct Drift {
    written: Option<Duration>,
}

impl Drift {
    /// Has the ends written anew when the clocks have come apart since that was done. A failure is tried again
    /// the next time.
    pub(super) fn follow<E>(
        &mut self,
        behind: Duration,
        rewrite: impl FnOnce() -> Result<(), E>,
    ) -> Result<(), E> {
        let written = *self.written.get_or_insert(behind);
        if behind.abs_diff(written) < APART {
            return Ok(());
        }
        rewrite()?;
        self.written = Some(behind);
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
        written: usize,
    }

    impl Host {
        fn with_ban(length: Duration) -> Self {
            let (since_boot, kernel) = (5 * HOUR, 2 * HOUR);
            let mut host = Self {
                since_boot,
                kernel,
                end: since_boot + length,
                end_in_kernel: kernel + length,
                drift: Drift::default(),
                written: 0,
            };
            host.look();
            host
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
        let mut drift = Drift::default();
        assert_eq!(drift.follow(HOUR, || Err("unused")), Ok(()));
        assert_eq!(drift.follow(2 * HOUR, || Err("full")), Err("full"));
        assert_eq!(drift.follow(2 * HOUR, || Err("still")), Err("still"));
        assert_eq!(drift.follow(2 * HOUR, || Ok::<(), &str>(())), Ok(()));
        assert_eq!(drift.follow(2 * HOUR, || Err("unused")), Ok(()));
    }
}
