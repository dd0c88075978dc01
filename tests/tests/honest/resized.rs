//! A flow table of another size, under conversations.

use std::net::{SocketAddr, TcpStream, UdpSocket};

use guard_tests::lab::MemoryGroup;

use super::scene::{NONE, PATIENCE, Scene, Where, in_both_places, set_patience};
use super::streams::{asks, echo};

/// A datagram socket of a host that waits as long as everybody here.
fn bind(scene: &Scene, on_server: bool, at: SocketAddr) -> UdpSocket {
    let host = if on_server {
        &scene.lab.srv
    } else {
        &scene.lab.friend
    };
    let socket = host.run(|| UdpSocket::bind(at)).expect("a socket");
    socket.set_read_timeout(Some(PATIENCE)).expect("a socket");
    socket
}

/// What the server has asked over UDP, and nobody has answered yet. Sockets without a peer are in no table of the
/// kernel's.
fn ask(scene: &Scene, port: u16) -> Vec<(UdpSocket, UdpSocket)> {
    let ends = [
        (scene.lab.srv.v4, scene.lab.friend.v4),
        (scene.lab.srv.v6, scene.lab.friend.v6),
    ];
    let asked = ends.map(|(server, friend)| {
        let server = bind(scene, true, SocketAddr::new(server, port));
        let friend = bind(scene, false, SocketAddr::new(friend, port));
        let to = friend.local_addr().expect("an address");
        assert_eq!(server.send_to(b"a question", to).expect("sent"), 10);
        assert_eq!(friend.recv(&mut [0; 16]).expect("the question"), 10);
        (server, friend)
    });
    asked.into()
}

fn assert_answered(asked: &[(UdpSocket, UdpSocket)]) {
    for (server, friend) in asked {
        let to = server.local_addr().expect("an address");
        friend.send_to(b"an answer", to).expect("sent");
        let got = server.recv(&mut [0; 16]);
        assert_eq!(got.expect("the answer"), 9, "{to}");
    }
}

#[test]
fn conversations_survive_a_flow_table_of_another_size() {
    in_both_places(|place, scene| {
        scene.enable(NONE);
        let serving = scene.serve(2, echo);
        let mut streams: Vec<TcpStream> = scene
            .addresses()
            .into_iter()
            .map(|to| scene.connect(to))
            .collect();
        streams.iter().for_each(set_patience);
        streams.iter_mut().for_each(asks);
        let mut asked = ask(scene, 4000);

        let before = scene.guard.policy();
        for (round, flows) in [(0, 1_000_000), (1, 65_536), (2, 524_288)] {
            let sized = format!("[limits]\nflow-table = {flows}");
            scene
                .guard
                .write_policy(&before.replacen("[limits]", &sized, 1));
            drop(scene.guard.guardctl(&["reload"]).ok());

            let status = scene.guard.guardctl(&["status", "--json"]).ok().json();
            let has = status["flow_table"]["flows"].as_u64();
            assert_eq!(
                has,
                Some(u64::next_power_of_two(flows)),
                "{place:?}: {status}"
            );
            assert_answered(&asked);
            streams.iter_mut().for_each(asks);
            asked.extend(ask(scene, 4001 + round));
        }
        assert_answered(&asked);
        drop(streams);
        drop(serving.join().expect("the server"));
        scene.assert_unharmed();
    });
}

/// A first table is as large as asked for, and one that is out of range changes nothing.
#[test]
fn a_table_that_is_too_large_or_too_small_changes_nothing() {
    let Some(scene) = Scene::new(Where::Here) else {
        return;
    };
    scene.enable(NONE);
    let before = scene.guard.policy();
    let flows = |scene: &Scene| {
        let status = scene.guard.guardctl(&["status", "--json"]).ok().json();
        status["flow_table"]["flows"].clone()
    };
    for wrong in ["65535", "16777217", "-1", "\"1M\""] {
        let sized = format!("[limits]\nflow-table = {wrong}");
        scene
            .guard
            .write_policy(&before.replacen("[limits]", &sized, 1));
        let ran = scene.guard.guardctl(&["reload"]);
        assert_eq!(ran.code, Some(5), "{wrong}: {ran}");
        assert_eq!(flows(&scene), 524_288);
    }
    let sized = "[limits]\nflow-table = 131072";
    scene
        .guard
        .write_policy(&before.replacen("[limits]", sized, 1));
    drop(scene.guard.guardctl(&["disable"]).ok());
    drop(scene.guard.guardctl(&["enable", "--force"]).ok());
    assert_eq!(flows(&scene), 131_072);
    let status = scene.guard.guardctl(&["status", "verbose"]).ok();
    drop(status.says("Flow table: 131072 flows, 0 % in use"));
    scene.guard.write_policy(&before);
    drop(scene.guard.guardctl(&["reload"]).ok());
    assert_eq!(flows(&scene), 524_288);
}

/// The kernel makes the table for who asks for it, and refuses it where he has no room for it.
#[test]
fn a_table_that_finds_no_memory_changes_nothing_and_says_what_to_make_smaller() {
    const ROOM: u64 = 96 << 20;
    let (Some(scene), Some(group)) = (Scene::new(Where::Here), MemoryGroup::of(ROOM)) else {
        return;
    };
    scene.enable(NONE);
    let serving = scene.serve(1, echo);
    let mut stream = scene.connect(scene.addresses()[0]);
    asks(&mut stream);
    let asked = ask(&scene, 4000);
    let before = scene.guard.policy();
    let status = || scene.guard.guardctl(&["status", "--json"]).ok().json();
    let generation = status()["generation"].clone();

    let sized = "[limits]\nflow-table = 16777216";
    scene
        .guard
        .write_policy(&before.replacen("[limits]", sized, 1));
    let script = group.script();
    let launcher = ["sh", "-c", &script, "sh"];
    let ran = scene.guard.guardctl_behind(&launcher, &["reload"]).exit(1);
    drop(ran.says("more memory than there is").says("flow-table"));

    let now = status();
    assert_eq!(now["flow_table"]["flows"], 524_288, "{now}");
    assert_eq!(now["generation"], generation, "{now}");
    assert_answered(&asked);
    asks(&mut stream);
    // The same policy in a smaller size finds room.
    let sized = "[limits]\nflow-table = 65536";
    scene
        .guard
        .write_policy(&before.replacen("[limits]", sized, 1));
    drop(scene.guard.guardctl_behind(&launcher, &["reload"]).ok());
    assert_eq!(status()["flow_table"]["flows"], 65_536);
    assert_answered(&asked);
    asks(&mut stream);
    drop(stream);
    drop(serving.join().expect("the server"));
    scene.assert_unharmed();
}
