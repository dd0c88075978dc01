//! A6: with guard on before the interface has any address, real clients acquire and renew their
//! addresses, neighbours are found and groups are joined; what only pretends to be of the link is
//! dropped.

mod leases;
mod neighbours;
mod router;
mod scene;
