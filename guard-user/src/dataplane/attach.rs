//! Putting the program on an interface: native where the driver can, else generic, by a link that
//! outlives this process.

use std::path::Path;

use aya::programs::{
    Xdp, XdpMode as Mode,
    links::{FdLink, LinkError},
    xdp::XdpLink,
};

use super::{
    pins::{LinkPin, link_name},
    refusal::describe,
};
use crate::{
    failure::{Exit, Failure},
    host::{Interface, XdpMode},
};

/// An attached interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attached {
    /// Its name.
    pub interface: String,
    /// Where the program runs.
    pub mode: XdpMode,
    /// Why it does not run in the driver.
    pub why_generic: Option<String>,
}

/// What every driver with XDP takes: a page less headroom and frame info (ena: 3498).
const LARGEST_SAFE_MTU: u32 = 3498;

/// Attaches the loaded program to an interface that carries none, and pins the link.
///
/// # Errors
/// Exit 9 when the kernel refuses both modes or has no links for XDP, exit 10 when somebody else
/// was quicker.
pub fn attach(program: &mut Xdp, interface: &Interface, links: &Path) -> Result<Attached, Failure> {
    let (link, mode, why_generic) = match link(program, interface, Mode::Driver) {
        Ok(link) => (link, XdpMode::Native, None),
        Err(native) => match link(program, interface, Mode::Skb) {
            Ok(link) => (link, XdpMode::Generic, Some(native)),
            Err(generic) => return Err(refused(interface, &native, &generic)),
        },
    };
    let pin = links.join(link_name(interface.index));
    link.pin(&pin).map_err(|error| {
        Failure::new(
            Exit::NoBpffs,
            format!("{}: cannot pin the link: {error}", pin.display()),
        )
    })?;
    Ok(Attached {
        interface: interface.name.clone(),
        mode,
        why_generic,
    })
}

/// Puts the loaded program in the place of the one that a link holds, without a gap.
///
/// # Errors
/// When the kernel refuses the exchange; the old program then stays.
pub fn replace(program: &mut Xdp, pin: LinkPin) -> Result<(), Failure> {
    let ifindex = pin.ifindex;
    let failed = |error: String| {
        Failure::new(
            Exit::Failed,
            format!("interface {ifindex}: cannot replace the program: {error}"),
        )
    };
    let link = XdpLink::try_from(pin.link).map_err(|error| failed(error.to_string()))?;
    let id = program
        .attach_to_link(link)
        .map_err(|error| failed(describe(&error)))?;
    // The pin holds the link; only our handle of it ends here.
    let link = program
        .take_link(id)
        .map_err(|error| failed(error.to_string()))?;
    drop(FdLink::try_from(link).map_err(|error| failed(error.to_string()))?);
    Ok(())
}

/// A link in one mode, or why there is none.
fn link(program: &mut Xdp, interface: &Interface, mode: Mode) -> Result<FdLink, String> {
    let id = program
        .attach_to_if_index(interface.index, mode)
        .map_err(|error| describe(&error))?;
    let link = program.take_link(id).map_err(|error| error.to_string())?;
    // aya falls back to an attachment without a link, which cannot be pinned and ends here with us.
    FdLink::try_from(link).map_err(|error: LinkError| {
        format!("this kernel attaches XDP without a link ({error}); Linux 5.9 or newer is needed")
    })
}

fn refused(interface: &Interface, native: &str, generic: &str) -> Failure {
    Failure::new(
        Exit::Unsupported,
        format!(
            "{}: the kernel refuses the program (native: {native}; generic: {generic})",
            interface.name
        ),
    )
    .help(if interface.mtu > LARGEST_SAFE_MTU {
        format!(
            "its MTU of {} is a common cause: `ip link set {} mtu 1500`",
            interface.mtu, interface.name
        )
    } else {
        "`dmesg | tail` may show the driver's reason; offloads such as LRO are a common one"
            .to_owned()
    })
}
