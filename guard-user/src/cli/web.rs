//! `web`: shows a page to browsers of this host, until the operator ends it.

use std::{io, net::SocketAddr, sync::Arc};

use clap::Args as Group;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use super::{context::Context, watch::usage};
use crate::{
    failure::{Exit, Failure, from_io},
    live::Live,
    text::value::plain,
    web::{Sampler, WebPage},
};

/// Ports that are shown, each with its last minute: 20 kB a second, which a slow line carries.
const MOST_PORTS: usize = 24;

/// Below `web --help`.
const HELP: &str = "\
Open the address that it prints. From another machine: ssh -L 9978:127.0.0.1:9978 SERVER, with guardctl web in that \
session, and open the address there. Whoever has the address sees the page until the command ends; nothing can be \
changed by it.";

/// Show a page to browsers of this host: ports, reasons, sources, bans, every second; changes nothing
#[derive(Clone, Debug, Group)]
#[command(after_help = HELP)]
pub(super) struct WebArgs {
    /// Where to listen: 127.0.0.1 or [::1], and a port
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:9978")]
    listen: String,
}

pub(super) fn web(context: &mut Context<'_>, args: &WebArgs) -> Result<Exit, Failure> {
    let address = loopback(&args.listen)?;
    // Who may not read the figures learns it here; to others the firewall would look as if it were off.
    if !nix::unistd::geteuid().is_root() {
        return Err(Failure::new(
            Exit::NotPermitted,
            "only root may read the figures of the filter",
        )
        .help("sudo guardctl web"));
    }
    // The same of maps of another version. That guard is off can change.
    match context.controller.traffic() {
        Err(failure) if failure.exit != Exit::Inactive => return Err(failure),
        Ok(_) | Err(_) => {}
    }
    let controller = context.controller.clone();
    let page = WebPage::new(
        address,
        Box::new(move || Box::new(Figures(Live::begin(controller.clone())))),
    );
    let page = Arc::new(page.map_err(|error| not_served(address, &error))?);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| from_io("cannot wait for browsers", &error))?;
    let served = runtime.block_on(async {
        let on = |kind| signal(kind).map_err(|error| from_io("cannot wait for signals", &error));
        let mut interrupt = on(SignalKind::interrupt())?;
        let mut terminate = on(SignalKind::terminate())?;
        let mut hangup = on(SignalKind::hangup())?;
        let url = page.url().map_err(|error| not_served(address, &error))?;
        let is_read = context.output.show(
            |out| writeln!(out, "{url}\nCtrl-C ends it"),
            || json!({"url": url}),
        );
        if !is_read {
            // Nobody knows the token.
            return Ok(());
        }
        tokio::select! {
            served = Arc::clone(&page).serve() => {
                served.map_err(|error| not_served(address, &error))
            }
            _ = interrupt.recv() => Ok(()),
            _ = terminate.recv() => Ok(()),
            _ = hangup.recv() => Ok(()),
        }
    });
    // With the connections, nobody looks any more.
    drop(runtime);
    page.finish();
    served.map(|()| Exit::Ok)
}

/// What happens at this moment, as `top` shows it.
struct Figures(Live);

impl Sampler for Figures {
    fn sample(&mut self) -> Option<String> {
        let shown = match self.0.tick() {
            Ok(rates) => {
                let mut rates = rates?;
                rates.ports.truncate(MOST_PORTS);
                serde_json::to_value(rates)
            }
            Err(failure) => Ok(json!({"error": plain(&failure.in_brackets())})),
        };
        // JSON of numbers and texts alone cannot fail.
        shown.ok().map(|value| value.to_string())
    }

    fn tend(&mut self) {
        self.0.look();
    }
}

/// Only programs of this host can connect there.
fn loopback(text: &str) -> Result<SocketAddr, Failure> {
    let bad = |what: &str, help: &str| Err(usage(format!("--listen {text:?}: {what}"), help));
    let Ok(address) = text.parse::<SocketAddr>() else {
        return bad(
            "no address with a port",
            "write 127.0.0.1:9978 or [::1]:9978",
        );
    };
    if !address.ip().is_loopback() {
        return bad(
            "other hosts could connect there",
            "listen at 127.0.0.1 or [::1]; from another machine, come by a tunnel: \
             ssh -L 9978:127.0.0.1:9978 SERVER",
        );
    }
    if address.port() == 0 {
        return bad("no port", "write one of 1 to 65535, e.g. 127.0.0.1:9978");
    }
    Ok(address)
}

fn not_served(address: SocketAddr, error: &io::Error) -> Failure {
    let failure = from_io(format!("cannot listen at {address}"), error);
    if error.kind() == io::ErrorKind::AddrInUse {
        let next = address.port().checked_add(1).unwrap_or(9978);
        failure.help(format!(
            "another program listens there, perhaps another guardctl web: end it, or take another port: \
             guardctl web --listen {}",
            SocketAddr::new(address.ip(), next)
        ))
    } else if error.kind() == io::ErrorKind::AddrNotAvailable {
        failure.help("this host does not have the address: take 127.0.0.1:9978")
    } else {
        failure
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_listens_where_no_other_host_reaches_it() {
        for text in ["127.0.0.1:9978", "[::1]:1", "127.9.9.9:65535"] {
            assert_eq!(loopback(text).expect(text).to_string(), text);
        }
        for (text, why) in [
            ("0.0.0.0:9978", "other hosts"),
            ("[::]:9978", "other hosts"),
            ("192.0.2.1:9978", "other hosts"),
            ("[::ffff:127.0.0.1]:9978", "other hosts"),
            ("127.0.0.1:0", "no port"),
            ("127.0.0.1:70000", "no address"),
            ("localhost:9978", "no address"),
            ("unix:/run/guard/web", "no address"),
            ("9978", "no address"),
            ("", "no address"),
            ("\u{1b}[31m", "no address"),
        ] {
            let failure = loopback(text).expect_err(text);
            assert_eq!(failure.exit, Exit::Usage, "{text}");
            assert!(failure.message.contains(why), "{text}: {failure}");
            assert!(failure.help.is_some(), "{text}");
            assert!(!failure.message.contains('\u{1b}'), "{text}");
        }
    }
}
