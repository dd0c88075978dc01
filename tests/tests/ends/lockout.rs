//! Operators whom the end of a rule would shut out are told, and refused where nobody could come back.

use guard_tests::{lab::Sshd, require};

use super::scene::{POLICY, Scene};

#[test]
fn the_only_way_in_does_not_end_unasked() {
    if !require::root() || !require::programs(&["sshd", "ssh", "ssh-keygen"]) {
        return;
    }
    let policy = format!("{POLICY}\n[[rule]]\naction = \"allow\"\nport = 22\n");
    let Some(scene) = Scene::with(&policy) else {
        return;
    };
    let sshd = Sshd::start(&scene.lab.srv);
    for to in [scene.lab.srv.v4, scene.lab.srv.v6] {
        let mut session = sshd.session(&scene.lab.friend, to);
        let ending = policy.replace(
            "port = 22\n",
            "port = 22\nuntil = \"2999-01-01T00:00:00Z\"\n",
        );
        scene.guard.write_policy(&ending);

        let refused = scene.run("reload").exit(7);

        let refused = refused.says("only until 2999-01-01T00:00:00Z");
        let _ = refused.says("nobody who is logged in could come back");
        // With another way in it is only said.
        let source = if to.is_ipv4() {
            "198.51.100.0/24"
        } else {
            "2001:db8:100::/64"
        };
        let another =
            format!("{ending}\n[[rule]]\naction = \"allow\"\nport = 22\nfrom = \"{source}\"\n");
        scene.guard.write_policy(&another);
        let _ = scene.run("reload").ok();
        assert!(session.answers());
        scene.guard.write_policy(&ending);
        let _ = scene.run("reload --force").ok();
        scene.guard.write_policy(&policy);
        let _ = scene.run("reload").ok();
    }
}
