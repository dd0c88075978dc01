//! What guard does on a card: which mode it gets, what is said of it, and that a transfer goes on while it attaches
//! and detaches.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::vps::{
    debian::{CLOSED, NIC},
    guest::Guest,
    machine::Hardware,
    transfer::Transfers,
};

const MTUS: [u32; 2] = [1500, 9000];
/// For what is left of 200 MB through an emulated machine.
const TO_THE_END: Duration = Duration::from_secs(180);

/// A row of the table for each MTU. The daemon is off, so that nobody else attaches anything.
pub(super) fn card(guest: &mut Guest<'_>) -> Result<()> {
    guest.must("systemctl stop guard; guardctl --yes disable")?;
    let name = named(guest)?;
    println!("  | card | MTU | mode | doctor says | transfers |");
    for mtu in MTUS {
        println!("  | {name} | {mtu} | {} |", seen(guest, mtu)?);
    }
    guest.network.set_mtu(MTUS[0])?;
    guest.must(&format!(
        "ip link set {NIC} mtu {} && guardctl --yes enable && systemctl start guard",
        MTUS[0]
    ))?;
    guest.answers_before = guest.probe.answers();
    Ok(())
}

/// Driver and properties.
fn named(guest: &mut Guest<'_>) -> Result<String> {
    let Hardware { nic, queues, .. } = *guest.hardware();
    let driver = guest.must(&format!("ethtool -i {NIC} | sed -n 's/^driver: //p'"))?;
    let properties = if nic.is_empty() {
        String::new()
    } else {
        format!(", `{nic}`")
    };
    Ok(format!("{}, queues: {queues}{properties}", driver.trim()))
}

/// Attaches twice and detaches once while 100 MB go each way.
fn seen(guest: &mut Guest<'_>, mtu: u32) -> Result<String> {
    guest.network.set_mtu(mtu)?;
    guest.must(&format!("ip link set {NIC} mtu {mtu}"))?;
    let mut transfers = Transfers::begin(guest)?;
    let started = Instant::now();
    for command in ["enable", "disable", "enable"] {
        guest.must(&format!("guardctl --yes {command}"))?;
        transfers.go_on()?;
        println!(
            "  MTU {mtu}: {command}d after {:.1} s",
            started.elapsed().as_secs_f64()
        );
    }
    transfers.finish(TO_THE_END)?;
    if guest.network.answers(CLOSED)? {
        bail!("the closed port {CLOSED} accepts a connection");
    }
    let status = guest.must("guardctl status")?;
    let mode = status
        .lines()
        .find_map(|line| line.split_once(&format!("{NIC} (")))
        .and_then(|(_, rest)| rest.split([':', ')']).next())
        .with_context(|| format!("status names no mode of {NIC}:\n{status}"))?
        .to_owned();
    // It ends with the code for a daemon that does not run.
    let doctor = guest.run("guardctl doctor")?.output;
    let said = about_card(&doctor).with_context(|| doctor.clone())?;
    guest.must("guardctl --yes disable")?;
    Ok(format!("{mode} | {said} | whole, both ways"))
}

/// What doctor says of the card's mode, with its remedy.
fn about_card(doctor: &str) -> Option<String> {
    let mut lines = doctor
        .lines()
        .skip_while(|line| !(line.contains(NIC) && line.contains(": guarded")));
    let said = lines.next()?.split_once(": guarded, ")?.1.trim().to_owned();
    let remedy = lines
        .next()
        .and_then(|line| line.trim().strip_prefix("-> "));
    Some(match remedy {
        Some(remedy) => format!("{said}; {remedy}"),
        None => said,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_doctor_says_of_a_card_is_found() {
        let doctor = |more: &str| {
            format!(
                "ok  interface {NIC} (virtio_net): guarded, native mode\n{more}ok  daemon  answers"
            )
        };

        let plain = about_card(&doctor(""));
        let remedied = about_card(&doctor("     -> turn it off\n"));

        assert_eq!(plain.as_deref(), Some("native mode"));
        assert_eq!(remedied.as_deref(), Some("native mode; turn it off"));
        assert_eq!(about_card("nothing"), None);
    }
}
