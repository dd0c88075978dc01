//! The web page, in a real browser.

mod browser;
mod refused;
mod scene;
mod watched;
