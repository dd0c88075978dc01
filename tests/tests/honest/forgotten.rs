//! Sessions of this host that the kernel's socket table knows and the flow table does not: nothing of theirs may be
//! dropped.

use std::{
    net::TcpStream,
    time::{Duration, Instant},
};

use super::{
    scene::{NONE, PATIENCE, Scene, USUAL, Where, acks, alone},
    streams::{FOR_EVER, Half, age, asks, echo, half_closed},
};

/// Two sessions whose entries have expired are asked once more.
fn silent_for_hours(out_of_state: &str, is_flooded: bool) {
    let Some(scene) = Scene::new(Where::Here) else {
        return;
    };
    let _alone = alone();
    scene.enable(out_of_state);
    let server = scene.serve(2, echo);
    let mut sessions: Vec<TcpStream> = scene.addresses().map(|to| scene.connect(to)).into();
    sessions.iter_mut().for_each(asks);
    assert!(age(&scene.guard, FOR_EVER) >= 2);
    let flood = is_flooded.then(|| acks(&scene.lab, &scene.guard));
    let begun = Instant::now();
    sessions.iter_mut().for_each(asks);
    let took = begun.elapsed();
    drop(flood);
    assert!(took < Duration::from_secs(1), "{took:?}");
    drop(sessions);
    server.join().expect("servers");
}

#[test]
fn a_session_that_was_silent_for_hours_goes_on_where_no_stray_segment_passes() {
    silent_for_hours(NONE, false);
}

#[test]
fn a_session_that_was_silent_for_hours_goes_on_in_a_flood() {
    silent_for_hours(USUAL, true);
    silent_for_hours(NONE, true);
}

/// The server has said its last word before guard came (FIN_WAIT2), and is sent to.
#[test]
fn an_upload_that_is_older_than_guard_goes_on_where_no_stray_segment_passes() {
    let Some(scene) = Scene::new(Where::Here) else {
        return;
    };
    half_closed(&scene, &[Half::Upload], || {
        scene.enable(NONE);
        for to in scene.addresses() {
            let connect = || TcpStream::connect_timeout(&to, PATIENCE);
            drop(scene.lab.friend.run(connect).expect("an answer"));
        }
    });
}
