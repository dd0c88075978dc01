//! Which mode to try on an interface: as the operator chose, and not one that is known to fail there.

use super::{attachments::Attachments, why::WhyGeneric};
use crate::{host::Interface, ruleset::model::ModeChoice};

/// Which mode to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// Native, else generic.
    Best,
    /// Native or not at all.
    Native,
    /// Generic, for this reason.
    Generic(WhyGeneric),
}

impl Attempt {
    /// What the operator chose, whatever was before.
    #[must_use]
    pub fn afresh(choice: ModeChoice) -> Self {
        match choice {
            ModeChoice::Auto => Self::Best,
            ModeChoice::Native => Self::Native,
            ModeChoice::Generic => Self::Generic(WhyGeneric::Chosen),
        }
    }

    /// The same with nobody there to be told of a refusal: an interface in another mode than the one
    /// that was chosen is better than an open one, and what did not work before is not tried again.
    #[must_use]
    pub fn unattended(choice: ModeChoice, interface: &Interface, known: &Attachments) -> Self {
        let known = known.of(&interface.name);
        let why = known.and_then(|known| known.why_generic.clone());
        let is_blind = known.is_some_and(|known| known.is_blind);
        match (choice, why) {
            (ModeChoice::Generic, _) => Self::Generic(WhyGeneric::Chosen),
            (ModeChoice::Auto | ModeChoice::Native, _) if is_blind => {
                Self::Generic(WhyGeneric::Blind)
            }
            (ModeChoice::Auto, Some(WhyGeneric::Blind)) => Self::Generic(WhyGeneric::Blind),
            // At boot the interface has not got the MTU yet that it will be given.
            (ModeChoice::Auto | ModeChoice::Native, Some(WhyGeneric::Mtu(mtu)))
                if mtu > interface.mtu =>
            {
                Self::Generic(WhyGeneric::Mtu(mtu))
            }
            (ModeChoice::Auto | ModeChoice::Native, _) => Self::Best,
        }
    }
}

/// An interface, and which mode to try on it.
#[derive(Clone, Debug)]
pub struct AttachTarget<'n> {
    /// The interface.
    pub interface: &'n Interface,
    /// The mode.
    pub attempt: Attempt,
}

#[cfg(test)]
mod tests {
    use super::super::attachments::Attachment;
    use super::*;

    fn eth0(mtu: u32) -> Interface {
        Interface {
            name: "eth0".to_owned(),
            index: 2,
            is_ethernet: true,
            mtu,
            ..Interface::default()
        }
    }

    fn known(why: Option<WhyGeneric>) -> Attachments {
        let attachment = Attachment {
            why_generic: why,
            ..Attachment::default()
        };
        Attachments::with("eth0", attachment)
    }

    #[test]
    fn a_mode_that_is_known_not_to_work_is_not_tried_at_boot() {
        let big = WhyGeneric::Mtu(9000);
        let cases = [
            (ModeChoice::Auto, None, 1500, Attempt::Best),
            (
                ModeChoice::Auto,
                Some(WhyGeneric::Blind),
                1500,
                Attempt::Generic(WhyGeneric::Blind),
            ),
            (
                ModeChoice::Auto,
                Some(big.clone()),
                1500,
                Attempt::Generic(big.clone()),
            ),
            // It has the MTU already: the driver may be asked.
            (ModeChoice::Auto, Some(big.clone()), 9000, Attempt::Best),
            // Chosen by hand in spite of it.
            (
                ModeChoice::Native,
                Some(WhyGeneric::Blind),
                1500,
                Attempt::Best,
            ),
            (
                ModeChoice::Generic,
                None,
                1500,
                Attempt::Generic(WhyGeneric::Chosen),
            ),
        ];
        for (choice, why, mtu, expected) in cases {
            let case = format!("{choice:?} {why:?} {mtu}");
            let attempt = Attempt::unattended(choice, &eth0(mtu), &known(why));
            assert_eq!(attempt, expected, "{case}");
        }
    }
}
