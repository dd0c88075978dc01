//! The protected interfaces as they are, without all else that `status` says: for whoever looks every second.

use crate::{
    controller::{Applied, Controller, InterfaceStatus},
    failure::Failure,
};

impl Controller {
    /// What should be protected, and whether it is; nothing while guard is off.
    ///
    /// # Errors
    /// When the pins cannot be opened or netlink does not answer.
    pub fn interfaces_now(&self) -> Result<Vec<InterfaceStatus>, Failure> {
        let network = self.network()?;
        let names = match Applied::read(&self.layout) {
            Some(applied) => applied.interfaces,
            None => self.linked_interfaces()?,
        };
        let names = self.names_now(&names, &network)?;
        self.interface_status(&names, &network)
    }
}
