//! Honest clients of open ports, by real programs and by what the kernel itself does: however unusual their traffic is,
//! nothing that guard drops there is theirs.

mod beginnings;
mod datagrams;
mod forgotten;
mod published;
mod resized;
mod routes;
mod scene;
mod streams;
mod websocket;
