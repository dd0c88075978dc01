//! Who is refused, and who is answered.

use hyper::header::{COOKIE, HOST, HeaderValue};

use super::*;

const PORT: u16 = 9978;

/// A request, as an operator's browser sends it unless something else is said.
struct Sent {
    method: Method,
    uri: String,
    headers: HeaderMap,
}

impl Sent {
    fn to(uri: &str) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_static("127.0.0.1:9978"));
        Self {
            method: Method::GET,
            uri: uri.to_owned(),
            headers,
        }
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        let value = HeaderValue::from_bytes(value.as_bytes()).expect("a value");
        self.headers.append(name, value);
        self
    }

    fn without_host(mut self) -> Self {
        self.headers.remove(HOST);
        self
    }

    fn by(mut self, method: Method) -> Self {
        self.method = method;
        self
    }

    /// `login`, `events`, the name of a file, or why not.
    fn answer(self, access: &Access) -> String {
        let request = WebRequest {
            method: &self.method,
            uri: &self.uri.parse().expect("an address"),
            headers: &self.headers,
        };
        match answer(access, &request) {
            WebAnswer::Login => "login".to_owned(),
            WebAnswer::Events => "events".to_owned(),
            WebAnswer::File(file) => format!("file {}", file.name),
            WebAnswer::Refused(refusal) => format!("{refusal:?}"),
        }
    }
}

/// A request of somebody who has logged in.
fn known(access: &Access, name: &str) -> Sent {
    let cookie = format!("guard={}", access.token.text());
    Sent::to(&format!("{}{name}", access.folder())).with("cookie", &cookie)
}

fn access() -> Access {
    Access::new(PORT).expect("random numbers")
}

#[test]
fn the_token_becomes_a_cookie_and_the_cookie_shows_the_page() {
    let access = access();
    let login = || Sent::to(&format!("/?token={}", access.token.text()));
    assert_eq!(login().answer(&access), "login");
    assert_eq!(login().by(Method::HEAD).answer(&access), "login");
    for (name, answer) in [
        ("", "file "),
        ("page.css", "file page.css"),
        ("page.js", "file page.js"),
        ("events", "events"),
        ("events?x=y", "events"),
    ] {
        assert_eq!(known(&access, name).answer(&access), answer);
        let head = known(&access, name).by(Method::HEAD);
        assert_eq!(head.answer(&access), answer);
    }
    let cookie = access.cookie();
    for part in ["HttpOnly", "SameSite=Strict", access.folder()] {
        assert!(cookie.contains(part), "{cookie}");
    }
    let among_others = format!("a=b; guard={}; guard=c", access.token.text());
    let page = Sent::to(access.folder()).with("cookie", &among_others);
    assert_eq!(page.answer(&access), "file ");
}

#[test]
fn without_the_token_nothing_is_shown() {
    let access = access();
    let token = access.token.text();
    let folder = access.folder().to_owned();
    for uri in [
        "/".to_owned(),
        "/?".to_owned(),
        "/?token".to_owned(),
        "/?token=".to_owned(),
        format!("/?token={}", &token[1..]),
        format!("/?token={token}0"),
        format!("/?token=%{token}"),
        format!("/?Token={token}"),
        format!("/?token=0&token={token}"),
        format!("/page.js?token={token}"),
        format!("{folder}events?token={token}"),
        format!("/{token}"),
        folder.clone(),
        format!("{folder}page.js"),
    ] {
        assert_eq!(Sent::to(&uri).answer(&access), "Token", "{uri}");
    }
    let other = self::access();
    for cookie in [
        "",
        "guard",
        "guard=",
        ";;;",
        "=",
        token,
        &format!("guard={}", other.token.text()),
        &format!("guard={token}0"),
        &format!("guard=\"{token}\""),
        &format!("xguard={token}"),
        &format!("guard={}", "x".repeat(8000)),
        "guard=\u{e9}",
    ] {
        let page = Sent::to(&folder).with("cookie", cookie);
        assert_eq!(page.answer(&access), "Token", "{cookie}");
    }
}

#[test]
fn names_that_others_can_have_are_refused_before_the_token_is_looked_at() {
    let access = access();
    let page = |host: &str| {
        let page = known(&access, "").without_host();
        page.with("host", host).answer(&access)
    };
    for host in ["127.0.0.1:9978", "localhost:9978", "[::1]:9978"] {
        assert_eq!(page(host), "file ", "{host}");
    }
    for host in [
        "",
        "127.0.0.1",
        "localhost",
        "127.0.0.1:80",
        "127.0.0.1:9979",
        "evil.example",
        "evil.example:9978",
        "127.0.0.1.evil.example:9978",
        "localhost.evil.example:9978",
        "localhost:9978.evil.example",
        "evil@127.0.0.1:9978",
        "0.0.0.0:9978",
        "192.0.2.1:9978",
        "[::ffff:127.0.0.1]:9978",
        "\u{e9}:9978",
    ] {
        assert_eq!(page(host), "Misdirected", "{host}");
    }
    let without = known(&access, "").without_host();
    assert_eq!(without.answer(&access), "Misdirected");
    let two = known(&access, "").with("host", "127.0.0.1:9978");
    assert_eq!(two.answer(&access), "Misdirected");
    let token = access.token.text();
    let proxied = Sent::to(&format!("http://evil.example/?token={token}"));
    assert_eq!(proxied.answer(&access), "Misdirected");
}

#[test]
fn pages_of_other_sites_are_refused_also_with_the_cookie() {
    let access = access();
    let page = |name, value| known(&access, "events").with(name, value).answer(&access);
    for site in ["none", "same-origin"] {
        assert_eq!(page("sec-fetch-site", site), "events");
    }
    assert_eq!(page("origin", "http://127.0.0.1:9978"), "events");
    for site in ["cross-site", "same-site", "", "SAME-ORIGIN", "none, none"] {
        assert_eq!(page("sec-fetch-site", site), "OtherSite", "{site}");
    }
    for origin in [
        "null",
        "",
        "http://evil.example",
        "http://127.0.0.1",
        "http://127.0.0.1:8080",
        "https://127.0.0.1:9978",
        "http://localhost:9978",
    ] {
        assert_eq!(page("origin", origin), "OtherSite", "{origin}");
    }
    let twice = known(&access, "")
        .with("sec-fetch-site", "same-origin")
        .with("sec-fetch-site", "cross-site");
    assert_eq!(twice.answer(&access), "OtherSite");
    let token = access.token.text();
    let link = Sent::to(&format!("/?token={token}")).with("sec-fetch-site", "cross-site");
    assert_eq!(link.answer(&access), "OtherSite");
}

#[test]
fn only_reading_is_understood_and_only_names_that_are_there() {
    let access = access();
    for method in [
        Method::POST,
        Method::PUT,
        Method::DELETE,
        Method::PATCH,
        Method::OPTIONS,
        Method::TRACE,
        Method::CONNECT,
    ] {
        let page = known(&access, "").by(method.clone());
        assert_eq!(page.answer(&access), "Method", "{method}");
    }
    for name in [
        "../",
        "../../etc/passwd",
        "..%2f..%2fetc%2fpasswd",
        "%2e%2e/page.js",
        "page.js/",
        "/page.js",
        "page.html",
        "PAGE.JS",
        "page.js%00",
        "events/",
        "x",
    ] {
        assert_eq!(known(&access, name).answer(&access), "NotFound", "{name}");
    }
    let cookie = format!("guard={}", access.token.text());
    for uri in [
        "/page.js",
        "/events",
        "//",
        "/favicon.ico",
        "/../../etc/passwd",
    ] {
        let outside = Sent::to(uri).with("cookie", &cookie);
        assert_eq!(outside.answer(&access), "NotFound", "{uri}");
    }
    assert!(known(&access, "").headers.contains_key(COOKIE));
}
