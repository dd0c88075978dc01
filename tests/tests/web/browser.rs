//! What an operator sees in a real Chromium while packets come.

use guard_tests::{
    lab::{Chromium, GuardDaemon, GuardWeb},
    require,
};

use super::scene::Scene;

const IS_LIVE: &str = "document.getElementById('connection').textContent === 'live'";
/// Packets to the closed port that were dropped in the last second.
const DROPS_ARE_SEEN: &str = "[...document.querySelectorAll('#port-rows tr')].some(row => \
                              row.dataset.key === '22/tcp' && parseFloat(row.children[2].textContent) > 0)";

fn contains(id: &str, text: &str) -> String {
    format!("document.getElementById('{id}').textContent.includes({text:?})")
}

fn is_state(state: &str) -> String {
    format!("document.getElementById('state').textContent === '{state}'")
}

/// Three more snapshots come, and numbers move.
#[track_caller]
fn goes_on(browser: &mut Chromium) {
    for _ in 0..3 {
        let line = browser.evaluate("document.querySelector('#chart .dropped-line').outerHTML");
        browser.until(&format!(
            "document.querySelector('#chart .dropped-line').outerHTML !== {line}"
        ));
    }
    browser.until(IS_LIVE);
    browser.until(DROPS_ARE_SEEN);
}

#[test]
fn a_browser_shows_drops_as_they_happen_over_everything_that_happens_to_guard() {
    if !require::program("chromium") {
        return;
    }
    let Some(scene) = Scene::new() else { return };
    let mut daemon = GuardDaemon::start(&scene.guard);
    let web = GuardWeb::start(&scene.guard);
    let _knocking = scene.knock();
    let mut browser = Chromium::start(&scene.lab.srv);
    browser.open(web.url());
    assert_eq!(browser.evaluate("location.search"), "", "the token");
    assert_eq!(browser.evaluate("document.cookie"), "", "of no script");
    browser.until(IS_LIVE);
    browser.until(DROPS_ARE_SEEN);
    browser.until(&contains("reason-rows", "default-drop"));
    browser.until(&contains("source-rows", "203.0.113.66"));
    browser.until(&contains("source-rows", "2001:db8:66::/64"));
    browser.until(&contains("interface-rows", "eth0protected"));
    browser.until(&is_state("on"));

    daemon.signal(libc::SIGKILL);
    daemon.wait();
    goes_on(&mut browser);
    drop(daemon);
    let _daemon = GuardDaemon::start(&scene.guard);
    goes_on(&mut browser);

    shows_texts_of_strangers_as_text(&scene, &mut browser);
    shows_what_waits_and_what_is_off(&scene, &mut browser);
    goes_on(&mut browser);
    shows_one_port(&mut browser);
    looks_well(&mut browser);
    let complaints = browser.complaints();
    assert!(complaints.is_empty(), "{complaints:#?}");
    says_when_nothing_comes(&web, &mut browser);
}

fn shows_texts_of_strangers_as_text(scene: &Scene, browser: &mut Chromium) {
    let markup = "<img src=x onerror=alert(1)><script>alert(1)</script>";
    let ban = ["ban", "203.0.113.99", "--for", "1h", "--reason", markup];
    drop(scene.guard.guardctl(&ban).ok());
    browser.until(&contains("ban-rows", markup));
    assert_eq!(browser.evaluate("document.images.length"), 0);
    assert_eq!(browser.evaluate("document.scripts.length"), 1);
}

fn shows_what_waits_and_what_is_off(scene: &Scene, browser: &mut Chromium) {
    let guardctl = |words: &[&str]| drop(scene.guard.guardctl(words).ok());
    guardctl(&["allow", "8080/tcp", "--confirm", "5m"]);
    browser.until("!document.getElementById('pending').hidden");
    browser.until(&contains("pending", "guardctl confirm"));
    browser.until(&contains("pending-left", "4 min"));
    guardctl(&["confirm"]);
    browser.until("document.getElementById('pending').hidden");
    guardctl(&["disable"]);
    browser.until(&is_state("off"));
    browser.until(&contains("warning", "guardctl enable"));
    guardctl(&["enable"]);
    browser.until(&is_state("on"));
}

fn shows_one_port(browser: &mut Chromium) {
    browser.evaluate(
        "[...document.querySelectorAll('#port-rows button')].find(one => one.textContent.startsWith('22/tcp')).focus()",
    );
    // As the keyboard does it; and the focus stays where it was.
    browser.evaluate("document.activeElement.click()");
    browser.until(&contains("chart-title", "22/tcp"));
    browser.until("document.activeElement.getAttribute('aria-pressed') === 'true'");
    goes_on(browser);
    assert_eq!(
        browser.evaluate("document.activeElement.textContent.slice(0, 6)"),
        "22/tcp"
    );
    browser.evaluate("document.getElementById('all-ports').click()");
    browser.until(&contains("chart-title", "All ports"));
}

fn looks_well(browser: &mut Chromium) {
    let mut grounds = Vec::new();
    for colors in ["light", "dark"] {
        browser.prefer(colors);
        for width in [360, 1200] {
            browser.resize(width, 800);
            let needed = browser.evaluate("document.documentElement.scrollWidth");
            assert_eq!(needed, width, "{colors}");
            // Not even a table is cut off.
            let wider = browser.evaluate(
                "[...document.querySelectorAll('table')].filter(one => one.scrollWidth > \
                 one.parentElement.clientWidth).length",
            );
            assert_eq!(wider, 0, "{colors} {width}");
        }
        grounds.push(browser.evaluate("getComputedStyle(document.body).backgroundColor"));
    }
    assert_ne!(grounds[0], grounds[1]);
}

fn says_when_nothing_comes(web: &GuardWeb, browser: &mut Chromium) {
    web.signal(libc::SIGSTOP);
    browser.until(&contains("connection", "connection lost"));
    web.signal(libc::SIGCONT);
    browser.until(IS_LIVE);
    goes_on(browser);
    web.signal(libc::SIGTERM);
    browser.until(&contains("connection", "connection lost"));
}
