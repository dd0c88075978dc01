//! The filter is watched while somebody looks at the page, and not a moment longer.

use guard_tests::lab::{GuardWeb, until};

use super::scene::Scene;

#[test]
fn who_does_not_look_costs_nothing_and_who_is_killed_leaves_nothing_behind() {
    let Some(scene) = Scene::new() else { return };
    let web = GuardWeb::start(&scene.guard);
    let is_watched = || scene.guard.is_watched();
    // The packets after its time find out that nobody is there any more.
    let _knocking = scene.knock();
    let page = format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", super::scene::LISTEN);
    assert!(scene.ask(&page).starts_with("HTTP/1.1 403"));
    assert!(!is_watched(), "nobody looks");

    let viewers = [scene.viewer(&web), scene.viewer(&web)];
    until("somebody to look", is_watched);
    drop(viewers);
    until("nobody to look", || !is_watched());

    // Connections that say nothing are no viewers, and keep none out.
    let idle: Vec<_> = (0..100).map(|_| scene.connect()).collect();
    until("an answer", || scene.ask(&page).starts_with("HTTP/1.1 403"));
    assert!(!is_watched());
    drop(idle);

    let viewer = scene.viewer(&web);
    until("somebody to look", is_watched);
    web.signal(libc::SIGKILL);
    until("the filter to forget it", || !is_watched());
    drop((viewer, web));

    let mut web = GuardWeb::start(&scene.guard);
    let viewer = scene.viewer(&web);
    until("somebody to look", is_watched);
    web.signal(libc::SIGINT);
    web.wait();
    assert!(!is_watched(), "who leaves says so");
    drop(viewer);
}
