use super::*;

fn bundle() -> Bundle {
    Bundle {
        group: "web".to_owned(),
        generation: 3,
        released: u64::MAX,
        confirm_s: 60,
        policy: "interfaces = [\"eth0\"]\n".to_owned(),
    }
}

fn public(key: &KeyPair) -> KeyPair {
    signer(&key.public_key()).expect("a public key")
}

#[test]
fn what_one_key_signed_only_that_key_opens() {
    let (key, other) = (KeyPair::new_account(), KeyPair::new_account());
    let sealed = bundle().seal(&key).expect("sealed");
    assert_eq!(Bundle::open(&sealed, &public(&key)), Ok(bundle()));
    assert_eq!(
        Bundle::open(&sealed, &public(&other)),
        Err(BundleFault::Forged)
    );
}

#[test]
fn nothing_of_it_can_be_changed_on_the_way() {
    let key = KeyPair::new_account();
    let signer = public(&key);
    let sealed = bundle().seal(&key).expect("sealed");
    for at in 0..sealed.len() {
        let mut bytes = sealed.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let text = String::from_utf8(bytes).expect("text");
        assert!(Bundle::open(&text, &signer).is_err(), "byte {at}");
        assert!(Bundle::open(&sealed[..at], &signer).is_err(), "cut at {at}");
    }
    let long = " ".repeat(MOST_BUNDLE) + &sealed;
    assert!(Bundle::open(&long, &signer).is_err());
    // A signature over the same bytes for another purpose, which a server could ask a key for that connects.
    let body = serde_json::to_vec(&bundle()).expect("JSON");
    let other = Sealed {
        body: BASE64.encode(&body),
        signature: BASE64.encode(&key.sign(&body).expect("signed")),
    };
    let other = serde_json::to_string(&other).expect("JSON");
    assert_eq!(Bundle::open(&other, &signer), Err(BundleFault::Forged));
}

#[test]
fn a_signed_bundle_with_values_that_make_no_sense_is_refused() {
    let key = KeyPair::new_account();
    let signer = public(&key);
    for wrong in [
        Bundle {
            confirm_s: 0,
            ..bundle()
        },
        Bundle {
            confirm_s: 100_000,
            ..bundle()
        },
        Bundle {
            generation: 0,
            ..bundle()
        },
    ] {
        let sealed = wrong.seal(&key).expect("sealed");
        let found = Bundle::open(&sealed, &signer);
        assert!(
            matches!(found, Err(BundleFault::Unreadable(_))),
            "{found:?}"
        );
    }
    let long = Bundle {
        policy: "#".repeat(MOST_BUNDLE),
        ..bundle()
    };
    let refused = long.seal(&key).expect_err("too long");
    assert!(refused.message.contains("at most 60000"), "{refused}");
}

#[test]
fn a_key_that_users_connect_with_signs_no_policies() {
    for wrong in [
        KeyPair::new_user().public_key(),
        KeyPair::new_operator().public_key(),
        String::new(),
        KeyPair::new_account().public_key().replace(['X', 'Y'], "Z") + "A",
        "A".repeat(55),
        KeyPair::new_account().seed().expect("a seed"),
    ] {
        assert!(signer(&wrong).is_err(), "{wrong}");
    }
    // Without the secret nothing is signed.
    let key = public(&KeyPair::new_account());
    assert!(bundle().seal(&key).is_err());
}

#[test]
fn hosts_come_in_an_order_of_each_generation() {
    let hosts: Vec<Member> = (0..100)
        .map(|n| Member::new("web", &format!("web-{n}")).expect("a member"))
        .collect();
    let order = |generation| {
        let mut order: Vec<usize> = (0..hosts.len()).collect();
        order.sort_by_key(|n| place(generation, &hosts[*n]));
        order
    };
    assert_eq!(order(1), order(1));
    assert_ne!(order(1), order(2));
    let half = Bundle {
        released: u64::MAX / 2,
        ..bundle()
    };
    let count = hosts
        .iter()
        .filter(|host| half.is_released_to(host))
        .count();
    assert!((25..75).contains(&count), "{count}");
    assert!(hosts.iter().all(|host| bundle().is_released_to(host)));
}
