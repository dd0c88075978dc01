//! WebSockets by a real server and a real client: one that is idle, and one that is not.

use std::{path::Path, process::Command};

use guard_tests::{
    lab::{Background, Folder, finish, until, within},
    require,
};

use super::scene::{NONE, OPEN, PATIENCE, Scene, Where, acks, alone};

/// Debian's, which finds Debian's packages, whatever else is called so here.
const PYTHON: &str = "/usr/bin/python3";

const SERVER: &str = "
import asyncio, sys, websockets
async def echo(socket):
    async for message in socket:
        await socket.send(message)
async def main():
    async with websockets.serve(echo, None, int(sys.argv[1]), ping_interval=None):
        print('listening', flush=True)
        await asyncio.Future()
asyncio.run(main())
";

/// Opens four sockets and tells so. When the file is there, two of them speak for three seconds while the others are
/// idle, and all are asked then. The longest that an answer took is what it says last.
const CLIENT: &str = "
import asyncio, os, sys, time, websockets
async def ask(socket):
    begun = time.monotonic()
    await socket.send('x' * 300)
    answer = await asyncio.wait_for(socket.recv(), 8)
    assert answer == 'x' * 300
    return time.monotonic() - begun
async def speak(socket):
    longest, begun = 0, time.monotonic()
    while time.monotonic() - begun < 3:
        longest = max(longest, await ask(socket))
        await asyncio.sleep(0.02)
    return longest
async def main():
    port = sys.argv[1]
    hosts = sys.argv[3:] * 2
    sockets = [await websockets.connect(f'ws://{host}:{port}/', ping_interval=None) for host in hosts]
    for socket in sockets:
        await ask(socket)
    print('connected', flush=True)
    while not os.path.exists(sys.argv[2]):
        await asyncio.sleep(0.01)
    spoken = await asyncio.gather(*map(speak, sockets[:2]))
    asked = [await ask(socket) for socket in sockets[2:]]
    print('longest', max(spoken + asked), flush=True)
asyncio.run(main())
";

fn has_websockets() -> bool {
    let is_there = Path::new(PYTHON).exists() && {
        let mut python = Command::new(PYTHON);
        finish(python.args(["-c", "import websockets"]), PATIENCE).code == Some(0)
    };
    require::need(is_there, || {
        "needs `apt-get install --no-install-recommends python3-websockets`".to_owned()
    })
}

#[test]
fn web_sockets_notice_no_flood() {
    if !has_websockets() {
        return;
    }
    let Some(scene) = Scene::new(Where::Here) else {
        return;
    };
    let _alone = alone();
    let folder = Folder::new();
    let port = OPEN.to_string();
    let mut python = scene.lab.srv.command(PYTHON);
    let server = Background::start(python.args(["-c", SERVER, &port]), folder.join("server"));
    until("a server", || server.said().contains("listening"));
    scene.enable(NONE);
    let mut python = scene.lab.friend.command(PYTHON);
    python.args(["-c", CLIENT, &port]).arg(folder.join("go"));
    python.arg(scene.lab.srv.v4.to_string());
    python.arg(format!("[{}]", scene.lab.srv.v6));
    let client = Background::start(&mut python, folder.join("client"));
    until("a client", || client.said().contains("connected"));
    let flood = acks(&scene.lab, &scene.guard);
    std::fs::write(folder.join("go"), "").expect("a word");
    let longest = within(PATIENCE, || {
        let said = client.said();
        let longest = said.split_once("longest ")?.1;
        longest.trim().parse::<f64>().ok()
    });
    let sent = flood.stop();
    println!("{longest:?} s, {sent} sent");
    assert!(
        longest.is_some_and(|longest| longest < 1.0),
        "{longest:?}: {}",
        client.said()
    );
}
