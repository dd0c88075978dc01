//! Who sees nothing, and where nothing listens.

use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    time::Duration,
};

use guard_tests::{
    lab::{Chromium, GuardWeb},
    require,
};

use super::scene::{LISTEN, Scene};

#[test]
fn a_browser_with_a_wrong_token_or_by_another_name_sees_nothing() {
    if !require::program("chromium") {
        return;
    }
    let Some(scene) = Scene::new() else { return };
    let web = GuardWeb::start(&scene.guard);
    let mut browser = Chromium::start(&scene.lab.srv);
    let by_other_name = web.url().replace("127.0.0.1", "evil.example");
    for (address, why) in [
        (web.url().replace("token=", "token=0"), "token"),
        (format!("http://{LISTEN}/"), "token"),
        (by_other_name, "127.0.0.1"),
    ] {
        browser.open(&address);
        let shown = browser.evaluate("document.body.innerText");
        let shown = shown.as_str().unwrap_or_default();
        assert!(shown.contains(why), "{address}: {shown}");
        assert_eq!(browser.evaluate("document.scripts.length"), 0, "{address}");
        assert!(!scene.guard.is_watched());
    }
    // The right one, by a link of somebody else.
    browser.open("data:text/html,<p>a page of somebody else</p>");
    browser.evaluate(&format!("location.href = {:?}; 0", web.url()));
    browser.until("document.body.innerText.includes('page of another site')");

    let ask = |request: &str| scene.ask(request);
    let host = format!("Host: {LISTEN}");
    let token = web.token();
    for (request, status) in [
        (
            format!("POST /?token={token} HTTP/1.1\r\n{host}\r\nContent-Length: 9\r\n\r\n"),
            "405",
        ),
        (
            format!("GET /?token={token} HTTP/1.1\r\nHost: evil.example:9978\r\n\r\n"),
            "421",
        ),
        (format!("GET /?token={token} HTTP/1.1\r\n\r\n"), "421"),
        (
            format!("GET /../etc/passwd HTTP/1.1\r\n{host}\r\n\r\n"),
            "403",
        ),
        (
            format!("GET / HTTP/1.1\r\n{host}\r\nCookie: guard=;guard=x\r\n\r\n"),
            "403",
        ),
        (
            format!(
                "GET / HTTP/1.1\r\n{host}\r\nX: {}\r\n\r\n",
                "x".repeat(20_000)
            ),
            "431",
        ),
    ] {
        let answer = ask(&request);
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{request}{answer}"
        );
    }
    assert!(!scene.guard.is_watched());
}

#[test]
fn it_listens_on_loopback_alone_and_says_why_it_does_not() {
    let Some(scene) = Scene::new() else { return };
    let guardctl = |words: &[&str]| scene.guard.guardctl(words);
    for address in ["0.0.0.0:9978", "[::]:9978", "192.0.2.1:9978"] {
        let refused = guardctl(&["web", "--listen", address]).exit(2);
        drop(refused.says("other hosts could").says("ssh -L"));
    }
    let address: SocketAddr = LISTEN.parse().expect("an address");
    let other = scene.lab.srv.run(|| TcpListener::bind(address));
    let refused = guardctl(&["web"]).exit(1);
    drop(refused.says(LISTEN).says("--listen 127.0.0.1:9979"));
    drop(other);
    if require::program("setpriv") {
        let nobody = [
            "setpriv",
            "--reuid",
            "65534",
            "--regid",
            "65534",
            "--clear-groups",
        ];
        let refused = scene.guard.guardctl_behind(&nobody, &["web"]);
        drop(refused.exit(4).says("root"));
    }

    drop(guardctl(&["allow", "9978/tcp"]).ok());
    let web = GuardWeb::start(&scene.guard);
    for to in [scene.lab.srv.v4, scene.lab.srv.v6] {
        let to = SocketAddr::new(to, 9978);
        let connected = scene
            .lab
            .friend
            .run(|| TcpStream::connect_timeout(&to, Duration::from_millis(500)));
        assert!(connected.is_err(), "{to}");
    }
    drop(web);
}
