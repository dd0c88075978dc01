//! A8: where a link in the middle carries only 1300 bytes, both directions get through, because the
//! routers' errors about our own packets are believed; all other errors are not.

mod errors;
mod scene;
mod transfers;
