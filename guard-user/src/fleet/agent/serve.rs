//! `guard-fleet run`: goes on whatever others do, takes up what was joined and left, and says how it is.

use std::{cell::RefCell, fs, path::Path, process, rc::Rc, time::SystemTime};

use tokio::{
    select,
    signal::unix::{SignalKind, signal},
    task::{JoinHandle, LocalSet, spawn_local},
    time::{Duration, interval},
};

use super::{
    block_on, complain,
    crowdsec::{self, CrowdsecStatus},
    daemon::{DaemonLink, OwnFeed},
    nats::{self, SharedReport},
};
use crate::{
    control::fleet::FleetReport,
    failure::{Failure, from_io},
    fleet::FleetSettings,
    layout::Layout,
};

/// Between two reports, and two looks at what is joined.
const REPORT: Duration = Duration::from_secs(2);

/// What runs for what is joined.
struct Sharing {
    settings: FleetSettings,
    nats: Option<(JoinHandle<()>, SharedReport)>,
    crowdsec: Option<(JoinHandle<()>, CrowdsecStatus)>,
}

impl Sharing {
    fn begin(settings: FleetSettings, daemon: &DaemonLink) -> Self {
        let nats = settings.nats.clone().map(|nats_settings| {
            let report: SharedReport = Rc::new(RefCell::default());
            let shared = Rc::clone(&report);
            (
                spawn_local(nats::run(nats_settings, daemon.clone(), shared)),
                report,
            )
        });
        let crowdsec = settings.crowdsec.clone().map(|settings| {
            let status = CrowdsecStatus::default();
            let shown = status.clone();
            let daemon = daemon.clone();
            let task = spawn_local(async move {
                let mut bans = OwnFeed::new(daemon.clone());
                let ended = crowdsec::run(&settings, &daemon, &mut bans, &status).await;
                if let Err(failure) = ended {
                    complain(&failure);
                }
            });
            (task, shown)
        });
        Self {
            settings,
            nats,
            crowdsec,
        }
    }

    fn report(&self) -> FleetReport {
        FleetReport {
            pid: process::id(),
            nats: self
                .nats
                .as_ref()
                .map(|(_, report)| report.borrow().clone()),
            crowdsec: self.crowdsec.as_ref().map(|(_, status)| status.report()),
        }
    }

    fn end(self) {
        if let Some((task, _)) = self.nats {
            task.abort();
        }
        if let Some((task, _)) = self.crowdsec {
            task.abort();
        }
    }
}

/// Runs until it is told to stop.
///
/// # Errors
/// When it cannot wait for signals.
pub(super) fn serve(layout: Layout) -> Result<(), Failure> {
    block_on(LocalSet::new().run_until(serve_locally(layout)))
}

async fn serve_locally(layout: Layout) -> Result<(), Failure> {
    let on = |kind| signal(kind).map_err(|error| from_io("cannot wait for signals", &error));
    let mut terminate = on(SignalKind::terminate())?;
    let mut interrupt = on(SignalKind::interrupt())?;
    let path = layout.fleet();
    let daemon = DaemonLink::new(layout);
    let mut read = None;
    let mut sharing = Sharing::begin(FleetSettings::default(), &daemon);
    let mut ticks = interval(REPORT);
    loop {
        select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = ticks.tick() => {}
        }
        let mark = mark(&path);
        if read != Some(mark) {
            read = Some(mark);
            match FleetSettings::read(&path) {
                Ok(settings) if settings != sharing.settings => {
                    sharing.end();
                    sharing = Sharing::begin(settings, &daemon);
                }
                Ok(_) => {}
                // What was joined stays so until the file can be read.
                Err(failure) => complain(&failure),
            }
        }
        // A daemon that does not run is begun again by others; it hears of us then.
        daemon.report(sharing.report()).await.ok();
    }
    sharing.end();
    Ok(())
}

/// What tells one state of a file from another.
fn mark(path: &Path) -> Option<(u64, SystemTime)> {
    let file = fs::metadata(path).ok()?;
    Some((file.len(), file.modified().ok()?))
}
