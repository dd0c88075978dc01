//! Putting the program on an interface: native where the driver can, else generic, by a link that
//! outlives this process.

use std::fs;

use aya::programs::{
    Xdp, XdpMode as Mode,
    links::{FdLink, LinkError},
    xdp::XdpLink,
};

use super::{
    attached::Attached,
    attempt::{AttachTarget, Attempt},
    refusal::{Refused, describe},
    why::{LARGEST_SAFE_MTU, WhyGeneric},
};
use crate::{
    dataplane::{
        object::{Object, load_error::load_failure},
        pins::{
            LinkPin,
            files::{pin_of_forms, pin_of_link, pin_of_next_forms, remove_forms, remove_if_there},
        },
    },
    failure::{Exit, Failure, from_io},
    host::{Interface, XdpMode},
    layout::Layout,
};

/// Attaches the loaded program to an interface that carries none, and pins the link.
///
/// # Errors
/// Exit 9 when the kernel refuses, or has no links for XDP, exit 10 when somebody else was quicker.
pub fn attach(
    object: &mut Object,
    target: &AttachTarget<'_>,
    layout: &Layout,
) -> Result<Attached, Failure> {
    let ifindex = target.interface.index;
    remove_forms(layout, ifindex)?;
    object.pin_forms(&pin_of_forms(layout, ifindex))?;
    let attached = attach_link(object, target, layout);
    if attached.is_err() {
        // What failed before is the error to show; what stays here, the next command removes.
        remove_forms(layout, ifindex).ok();
    }
    attached
}

fn attach_link(
    object: &mut Object,
    target: &AttachTarget<'_>,
    layout: &Layout,
) -> Result<Attached, Failure> {
    let interface = target.interface;
    let program = object.ingress().map_err(load_failure)?;
    let (link, why_generic) = match &target.attempt {
        Attempt::Best => best(program, interface)?,
        Attempt::Native => {
            let link = link(program, interface, Mode::Driver);
            (
                link.map_err(|refused| no_native(interface, &refused))?,
                None,
            )
        }
        Attempt::Generic(why) => {
            let link = link(program, interface, Mode::Skb);
            let link = link.map_err(|refused| no_mode(interface, &format!("generic: {refused}")));
            (link?, Some(why.clone()))
        }
    };
    let pin = pin_of_link(layout, interface.index);
    link.pin(&pin).map_err(|error| {
        Failure::new(
            Exit::NoBpffs,
            format!("{}: cannot pin the link: {error}", pin.display()),
        )
    })?;
    Ok(Attached {
        interface: interface.name.clone(),
        mode: match why_generic {
            None => XdpMode::Native,
            Some(_) => XdpMode::Generic,
        },
        why_generic,
    })
}

/// Native, else generic and why.
fn best(program: &mut Xdp, interface: &Interface) -> Result<(FdLink, Option<WhyGeneric>), Failure> {
    let native = match link(program, interface, Mode::Driver) {
        Ok(link) => return Ok((link, None)),
        Err(native) => native,
    };
    match link(program, interface, Mode::Skb) {
        Ok(link) => Ok((link, Some(WhyGeneric::refused(&native, interface)))),
        Err(generic) => {
            let both = format!("native: {native}; generic: {generic}");
            Err(no_mode(interface, &both))
        }
    }
}

/// Puts the loaded program in the place of the one that a link holds, without a gap.
///
/// # Errors
/// When the kernel refuses the exchange; the old program then stays.
pub fn replace(object: &mut Object, pin: LinkPin, layout: &Layout) -> Result<(), Failure> {
    let ifindex = pin.ifindex;
    // Both programs find theirs until the old one is gone. Without, they take the full path, which says the same.
    let forms = pin_of_forms(layout, ifindex);
    let next = pin_of_next_forms(layout, ifindex);
    remove_if_there(&next)?;
    object.pin_forms(&next)?;
    if let Err(failure) = exchange(object, pin) {
        // As above.
        remove_if_there(&next).ok();
        return Err(failure);
    }
    fs::rename(&next, &forms).map_err(|error| from_io(forms.display(), &error))
}

fn exchange(object: &mut Object, pin: LinkPin) -> Result<(), Failure> {
    let ifindex = pin.ifindex;
    let program = object.ingress().map_err(load_failure)?;
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
fn link(program: &mut Xdp, interface: &Interface, mode: Mode) -> Result<FdLink, Refused> {
    let id = program
        .attach_to_if_index(interface.index, mode)
        .map_err(|error| Refused::of(&error))?;
    let link = program
        .take_link(id)
        .map_err(|error| Refused::from(error.to_string()))?;
    // aya falls back to an attachment without a link, which cannot be pinned and ends here with us.
    FdLink::try_from(link).map_err(|error: LinkError| {
        Refused::from(format!(
            "this kernel attaches XDP without a link ({error}); Linux 5.9 or newer is needed"
        ))
    })
}

fn no_mode(interface: &Interface, refused: &str) -> Failure {
    Failure::new(
        Exit::Unsupported,
        format!(
            "{}: the kernel refuses the program ({refused})",
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

fn no_native(interface: &Interface, refused: &Refused) -> Failure {
    let why = WhyGeneric::refused(refused, interface);
    Failure::new(
        Exit::Unsupported,
        format!("{}: no native mode: {why}", interface.name),
    )
    .help("`guardctl enable --mode auto` takes generic mode where native mode does not work")
}
