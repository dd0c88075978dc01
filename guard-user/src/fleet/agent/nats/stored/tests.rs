//! Which messages are what they seem to be, with headers as a real server of 2.15.1 wrote them.

use super::*;

fn message(subject: &str, headers: &[(&str, &str)]) -> Message {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(*name, *value);
    }
    Message {
        subject: subject.into(),
        reply: None,
        payload: Bytes::from_static(b"{}"),
        headers: (!headers.is_empty()).then_some(map),
        status: None,
        description: None,
        length: 0,
    }
}

const END: (&str, &str) = ("Nats-TTL", "600s");
const OF_A: [(&str, &str); 4] = [
    ("Nats-Stream", "KV_guard"),
    ("Nats-Subject", "$KV.guard.ban.web.a.4-02020202-32"),
    ("Nats-Sequence", "2"),
    ("Nats-Time-Stamp", "2026-11-30T09:21:12.455557333Z"),
];

#[test]
fn a_stored_message_is_whose_subject_the_server_wrote_last() {
    let honest = stored(&message("", &[&[END][..], &OF_A].concat())).expect("stored");
    assert!(honest.is_genuine && honest.at.is_some());
    assert_eq!(
        (honest.subject.as_str(), honest.sequence),
        ("ban.web.a.4-02020202-32", 2)
    );
    for forged in [
        ("Nats-Subject", "$KV.guard.lift.4-09090909-32"),
        ("Nats-Sequence", "999999"),
        ("Nats-Stream", "KV_other"),
        ("Nats-Time-Stamp", "2000-01-01T00:00:00Z"),
        ("Nats-TTL", "600s"),
    ] {
        let stored = stored(&message("", &[&[forged, END][..], &OF_A].concat())).expect("stored");
        assert!(!stored.is_genuine, "{forged:?}");
        assert_eq!(
            (stored.subject.as_str(), stored.sequence),
            ("ban.web.a.4-02020202-32", 2)
        );
    }
    for end in ["never", "", "s", "-1s", "1h", "600s folded: x"] {
        let stored = stored(&message("", &[&[("Nats-TTL", end)][..], &OF_A].concat()));
        assert!(!stored.expect("stored").is_genuine, "{end}");
    }
    assert!(!stored(&message("", &OF_A)).expect("stored").is_genuine);
    assert!(stored(&message("", &[])).is_none());
    assert!(stored(&message("", &[END])).is_none());
}

#[test]
fn what_the_server_took_out_of_a_stream_is_nobodys_word() {
    let subject = "fleet.now.ban.web.b.4-02020202-32";
    assert!(is_unstored(&message(subject, &[END])));
    // Without headers: an answer of the server, sent to where its asker wanted it.
    for headers in [
        Vec::new(),
        OF_A.to_vec(),
        [&[END][..], &OF_A].concat(),
        vec![END, OF_A[1]],
        vec![END, END],
        vec![("Nats-TTL", "never")],
    ] {
        assert!(!is_unstored(&message(subject, &headers)), "{headers:?}");
    }
}

#[test]
fn headers_that_are_none_are_of_no_member() {
    assert!(are_headers_of_a_member(
        b"NATS/1.0\r\nNats-TTL: 600s\r\n\r\n"
    ));
    for bad in [
        &b""[..],
        b"garbage",
        b"NATS/1.0\r\n\r\n",
        b"NATS/1.0 404 Gone\r\nNats-TTL: 600s\r\n\r\n",
        b"NATS/1.0\r\nNats-TTL: never\r\n\r\n",
        b"NATS/1.0\r\nNats-TTL: 600s\r\nNats-Subject: x\r\n\r\n",
        b"NATS/1.0\r\n\xff\xfe no colon\r\n\r\n",
        b"NATS/1.0\r\nNats-TTL: 600s\r\n",
    ] {
        assert!(!are_headers_of_a_member(bad), "{bad:?}");
    }
}

#[test]
fn a_message_in_json_is_read_and_cut_ones_are_nothing() {
    let text = r#"{"message":{"subject":"$KV.guard.ban.web.a.4-02020202-32","seq":4,
        "hdrs":"TkFUUy8xLjANCk5hdHMtVFRMOiA2MDBzDQoNCg==","data":"e30=","time":"2026-11-30T09:21:15.277Z"}}"#;
    let answer: ShownAnswer = serde_json::from_str(text).expect("JSON");
    let stored = answer.message.expect("a message").stored().expect("stored");
    assert!(stored.is_genuine);
    assert_eq!((stored.sequence, stored.payload.as_ref()), (4, &b"{}"[..]));
    let none =
        r#"{"type":"x","error":{"code":404,"err_code":10037,"description":"no message found"}}"#;
    let answer: ShownAnswer = serde_json::from_str(none).expect("JSON");
    assert!(answer.message.is_none() && answer.error.is_some_and(|error| error.code == 404));
}
