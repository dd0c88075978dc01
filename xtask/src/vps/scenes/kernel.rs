//! What the kernel was told when it was booted, and what time it believes it is.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::boot;
use crate::vps::{debian::NIC, guest::Guest};

/// A kernel that is locked down takes the programs, and doctor says how far it is.
pub(super) fn locked_down(guest: &mut Guest<'_>) -> Result<()> {
    let words = guest.hardware().kernel;
    let degree = words
        .strip_prefix("lockdown=")
        .context("the kernel is not told to lock itself down")?;
    guest.must(&format!(
        "grep -F '[{degree}]' /sys/kernel/security/lockdown"
    ))?;
    boot::cold(guest)?;
    guest.must(&format!(
        "guardctl doctor | grep -F 'locked down ({degree}): root may '"
    ))?;
    // Not only what was loaded before anybody could log in.
    guest.until("guardctl --yes disable")?;
    guest.must(&format!(
        "guardctl --yes enable && guardctl status | grep '{NIC} (native)'"
    ))?;
    guest.answers_before = guest.probe.answers();
    boot::is_whole(guest)
}

/// How long a ban lasts here, and how much longer or shorter an emulated machine may make it look.
const BAN: Duration = Duration::from_secs(30);
const LATE: Duration = Duration::from_secs(8);
/// The command ends after its ban has begun.
const EARLY: Duration = Duration::from_secs(8);

/// The clock stands in 1970 when the server is switched on, and is set later: bans have the time left that they had,
/// and last as long as they should.
pub(super) fn clock(guest: &mut Guest<'_>) -> Result<()> {
    guest.expect_silence("from power-on in 1970 until the system is up")?;
    let shown = guest.must("date; guardctl bans")?;
    println!("  {}", shown.trim().replace('\n', "\n  "));
    boot::is_whole(guest)?;
    guest.until(&format!(
        "guardctl --yes ban 203.0.113.77 --for {}s",
        BAN.as_secs()
    ))?;
    let begun = Instant::now();
    guest.must("date -s '2030-01-01' && guardctl bans | grep -w 203.0.113.77")?;
    guest.until("bans=$(guardctl bans) && ! echo \"$bans\" | grep -w 203.0.113.77")?;
    let lasted = begun.elapsed();
    println!(
        "  a ban of {} s lasted {:.1} s",
        BAN.as_secs(),
        lasted.as_secs_f64()
    );
    if lasted + EARLY < BAN || lasted > BAN + LATE {
        bail!("that is not {} s", BAN.as_secs());
    }
    // The daemon and the ban of a day outlive the jump.
    boot::is_whole(guest)
}
