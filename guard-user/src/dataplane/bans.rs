//! stub
use crate::{bans::{Prefix, store::End}, failure::Failure, layout::Layout};
/// x
#[derive(Debug)]
pub struct BanTables;
impl BanTables {
    /// x
    pub fn open(_: &Layout) -> Result<Option<Self>, Failure> { Ok(None) }
    /// x
    pub fn raise(&mut self, _: &Layout, _: Prefix, _: End) -> Result<(), Failure> { Ok(()) }
    /// x
    pub fn lower(&mut self, _: Prefix, _: &[(Prefix, End)]) -> Result<(), Failure> { Ok(()) }
    /// x
    pub fn replace(&mut self, _: &Layout, _: &[(Prefix, End)]) -> Result<(), Failure> { Ok(()) }
}
