//! A program that is ready before an interface comes.

use std::os::unix::fs::MetadataExt as _;

use guard_common::abi::names;

use super::{
    object::{Object, load_error::load_failure, parameters::Purpose},
    pins,
};
use crate::{
    failure::{Exit, Failure, from_io},
    layout::Layout,
};

/// A loaded program for interfaces to come: loading takes the verifier a tenth of a second and, on
/// a busy host, most of one.
#[derive(Debug)]
pub struct Spare {
    pub(super) object: Object,
    maps: Vec<u64>,
}

impl Spare {
    /// Is there one for the maps that are pinned now?
    ///
    /// # Errors
    /// When nothing is installed.
    pub fn is_ready(layout: &Layout, spare: Option<&Self>) -> Result<bool, Failure> {
        let maps = map_numbers(layout)?;
        Ok(spare.is_some_and(|ready| ready.maps == maps))
    }

    /// A program that uses the maps that are pinned now: the one in `spare`, or a new one.
    ///
    /// # Errors
    /// When nothing is installed, or the program cannot be loaded.
    pub fn ready<'s>(
        layout: &Layout,
        spare: &'s mut Option<Self>,
    ) -> Result<&'s mut Self, Failure> {
        let maps = map_numbers(layout)?;
        match spare {
            Some(ready) if ready.maps == maps => {}
            Some(_) | None => *spare = Some(Self::load(layout, maps)?),
        }
        spare
            .as_mut()
            .ok_or_else(|| Failure::new(Exit::Failed, "the program was loaded and is not there"))
    }

    /// One that has just been loaded with the maps that are pinned now.
    pub(super) fn of(layout: &Layout, object: Object) -> Result<Self, Failure> {
        Ok(Self {
            object,
            maps: map_numbers(layout)?,
        })
    }

    fn load(layout: &Layout, numbers: Vec<u64>) -> Result<Self, Failure> {
        let maps = layout.maps();
        let parameters = pins::parameters(layout, Purpose::Filter)?;
        Ok(Self {
            object: Object::load(parameters, Some((&maps, &[]))).map_err(load_failure)?,
            maps: numbers,
        })
    }
}

/// Numbers of the pins: larger tables have others.
pub(super) fn map_numbers(layout: &Layout) -> Result<Vec<u64>, Failure> {
    let pins = names::MAPS.into_iter().map(|name| layout.maps().join(name));
    pins.map(|pin| {
        let metadata = pin
            .metadata()
            .map_err(|error| from_io(pin.display(), &error))?;
        Ok(metadata.ino())
    })
    .collect()
}
