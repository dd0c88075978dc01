//! Putting the program that is on an interface there in another mode, or at another MTU.

use super::{
    attach::attach,
    attached::Attached,
    attachments::Attachments,
    attempt::{AttachTarget, Attempt},
    closed,
    detach::{detach, is_mtu_raised},
    why::WhyGeneric,
};
use crate::{
    dataplane::{
        object::{Object, load_error::load_failure},
        pins::files::pin_of_link,
    },
    failure::Failure,
    host::{Interface, XdpMode},
    layout::Layout,
};

/// Must the program be taken off and put back, for it to run as the target says? `known` is what was
/// noted when it was put there.
#[must_use]
pub fn is_needed(target: &AttachTarget<'_>, known: &Attachments) -> bool {
    let interface = target.interface;
    let Some(xdp) = interface.xdp else {
        return false;
    };
    let known = known.of(&interface.name);
    if is_mtu_raised(interface, known.map(|known| known.mtu)) {
        return true;
    }
    match (&target.attempt, xdp.mode) {
        (Attempt::Generic(_), XdpMode::Native) | (Attempt::Native, XdpMode::Generic) => true,
        (Attempt::Best, XdpMode::Generic) => {
            let why = known.and_then(|known| known.why_generic.as_ref());
            why.is_some_and(|why| is_over(why, interface))
        }
        (Attempt::Best | Attempt::Native, XdpMode::Native)
        | (Attempt::Generic(_), XdpMode::Generic)
        | (_, XdpMode::Offloaded) => false,
    }
}

/// Is there another chance for native mode? The operator may have changed his mind, or the MTU.
fn is_over(why: &WhyGeneric, interface: &Interface) -> bool {
    match why {
        WhyGeneric::Chosen => true,
        WhyGeneric::Mtu(mtu) => *mtu > interface.mtu,
        // Not again and again.
        WhyGeneric::Blind | WhyGeneric::Refused(_) => false,
    }
}

/// Takes the program off and puts it back. Nothing comes in meanwhile. If the mode that is asked for
/// cannot be had, the interface keeps another one.
///
/// # Errors
/// When the interface cannot be closed, the driver does not let go, or no mode can be had.
pub(in crate::dataplane) fn reattach(
    layout: &Layout,
    object: &mut Object,
    target: &AttachTarget<'_>,
    known: &Attachments,
) -> Result<Attached, Failure> {
    let interface: &Interface = target.interface;
    let links = layout.links();
    let taken_at = known.of(&interface.name).map(|known| known.mtu);
    closed::close(object.closed().map_err(load_failure)?, interface, &links)?;
    let pin = pin_of_link(layout, interface.index);
    let attached = detach(&pin, interface, taken_at).and_then(|()| {
        attach(object, target, layout).or_else(|failure| {
            let target = AttachTarget {
                interface,
                attempt: Attempt::Best,
            };
            attach(object, &target, layout)?;
            Err(failure)
        })
    });
    closed::open(layout, interface.index)?;
    attached
}
