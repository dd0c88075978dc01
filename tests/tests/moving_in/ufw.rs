//! A real ufw, and its rules in guard.

use guard_tests::lab::{UFW_PROGRAMS, Ufw};

use super::scene::{Scene, assert_same};

#[test]
fn what_ufw_lets_in_guard_lets_in_and_nothing_else() {
    let Some(scene) = Scene::new(&UFW_PROGRAMS) else {
        return;
    };
    let ufw = Ufw::new(&scene.lab.srv);
    for line in [
        "allow 22/tcp",
        "deny from 203.0.113.0/24 to any port 80 proto tcp",
        "reject from 2001:db8:66::/48 to any port 80 proto tcp",
        "allow 80,443/tcp",
        "allow from 198.51.100.10 to any port 9000 proto tcp",
        "limit 2222/tcp",
        "allow 53",
        "allow in on eth0 to any port 5000 proto udp",
        "deny in on eth9 to any port 25",
        "allow OpenSSH",
    ] {
        drop(ufw.ufw(line));
    }
    drop(ufw.ufw("--force enable"));
    let theirs = scene.reached();
    drop(ufw.ufw("disable"));

    let root = ufw.root().display().to_string();
    // A file that nobody has edited may be replaced; `enable` edits it.
    drop(scene.import(&["ufw", "--root", &root], 0));
    let ran = scene.import(&["ufw", "--root", &root], 0);
    scene.enable();
    assert_same(&theirs, &scene.reached(), &ran.stdout);
    let edited = scene.guard.policy();
    let ran = scene.guard.guardctl(&["import", "ufw", "--root", &root]);
    assert!(ran.exit(7).stderr.contains("--write FILE"));
    assert_eq!(scene.guard.policy(), edited);
}

#[test]
fn rules_that_guard_has_not_are_listed_and_the_stock_lines_are_known() {
    let Some(scene) = Scene::new(&UFW_PROGRAMS) else {
        return;
    };
    let ufw = Ufw::new(&scene.lab.srv);
    for line in [
        "allow log 22/tcp",
        "deny out 25/tcp",
        "route allow in on eth0 out on eth1",
    ] {
        drop(ufw.ufw(line));
    }
    let root = ufw.root().display().to_string();
    let ran = scene.import(&["ufw", "--root", &root], 8);
    let left = ran.json()["left"].as_array().cloned().unwrap_or_default();
    // Logging, the way out and routes, those without an address once for each family.
    let files: Vec<&str> = left.iter().filter_map(|one| one["file"].as_str()).collect();
    assert!(files.iter().all(|file| file.contains("user")), "{ran}");
    assert_eq!(left.len(), 6, "{ran}");
    assert!(!ran.stdout.contains("not ufw's own"), "{ran}");
}
