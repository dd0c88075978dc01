//! The picture of the web page.

use std::time::Duration;

use super::Scene;
use crate::lab::{Chromium, GuardWeb};

/// So long the page runs before it is pictured: most of the minute that it shows.
const RUN: Duration = Duration::from_secs(40);

/// What a browser shows after some seconds, as PNG.
///
/// # Panics
/// When it does not run.
#[must_use]
pub fn web(scene: &Scene) -> Vec<u8> {
    let page = GuardWeb::start(&scene.guard);
    let mut browser = Chromium::start(&scene.lab.srv);
    browser.resize(1000, 800);
    browser.prefer("light");
    browser.open(page.url());
    scene.visit(RUN);
    browser.until("document.getElementById('connection').textContent === 'live'");
    browser.picture()
}
