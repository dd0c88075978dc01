//! A17: whatever became of the files of bans and jails, the next start succeeds, and nobody is let in
//! who was shut out.

use std::{fs, path::Path};

use guard_tests::lab::GuardDaemon;
use redb::{Database, TableDefinition};

use super::scene::{JAIL, Scene};

const META: TableDefinition<'_, &str, &str> = TableDefinition::new("meta");

/// What happens to a file. `true`: it must be noticed; what changes a page that nobody needs may not be.
type Damage = (&'static str, bool, fn(&Path));

const DAMAGES: [Damage; 8] = [
    ("zeroes", true, |path| change(path, |bytes| bytes.fill(0))),
    ("garbage", true, |path| {
        change(path, |bytes| {
            bytes
                .iter_mut()
                .enumerate()
                .for_each(|(n, byte)| *byte = (n * 131 % 251) as u8)
        });
    }),
    ("cut in the middle", true, |path| {
        change(path, |bytes| bytes.truncate(bytes.len() / 2))
    }),
    ("cut after its first page", true, |path| {
        change(path, |bytes| bytes.truncate(4096))
    }),
    ("a bit of every page", false, |path| {
        change(path, |bytes| {
            bytes
                .chunks_mut(4096)
                .skip(1)
                .for_each(|page| page[page.len() / 2] ^= 4)
        });
    }),
    ("every page but the first", true, |path| {
        change(path, |bytes| {
            let others = bytes.iter_mut().skip(4096);
            others.for_each(|byte| *byte ^= 0x5a);
        });
    }),
    ("text", true, |path| {
        fs::write(path, "[jail.sshd]\n").expect("written")
    }),
    ("of a later version", true, of_a_later_version),
];

fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).expect("read");
    change(&mut bytes);
    fs::write(path, bytes).expect("written");
}

fn of_a_later_version(path: &Path) {
    let database = Database::create(path).expect("a database");
    let transaction = database.begin_write().expect("a transaction");
    transaction
        .open_table(META)
        .expect("a table")
        .insert("version", "99")
        .expect("written");
    transaction.commit().expect("written");
}

fn survives(file: &str) {
    let Some(scene) = Scene::with(JAIL) else {
        return;
    };
    let path = scene.guard.state().join(file);
    let attacker = scene.lab.attacker.v4.to_string();
    drop(scene.guardctl(&format!("ban {attacker} --for 1h")).ok());
    for (number, (what, must_be_noticed, damage)) in DAMAGES.into_iter().enumerate() {
        let victim = format!("198.18.7.{number}");
        let daemon = GuardDaemon::start(&scene.guard);
        scene.fail(&victim, 5);
        scene.until_banned(&daemon, &victim);
        drop(daemon);
        let before = scene.aside().len();

        damage(&path);

        let daemon = GuardDaemon::start(&scene.guard);
        let next = format!("198.18.8.{number}");
        scene.fail(&next, 5);
        scene.until_banned(&daemon, &next);
        for line in ["status", "bans list", "jail status", "reload"] {
            drop(scene.guardctl(line).ok());
        }
        assert!(
            !scene.is_attacker_let_in(),
            "{file}, {what}: who was banned stays so"
        );
        assert!(
            scene.is_shut_out(victim.parse().expect("an address")),
            "{file}, {what}"
        );
        scene.assert_friend_gets_in();
        let aside = scene.aside();
        let noticed = aside.len() - before;
        assert!(
            noticed == 1 || !must_be_noticed && noticed == 0,
            "{file}, {what}: {aside:?}\n{}",
            daemon.said()
        );
        assert!(
            noticed == 0 || daemon.said().contains("damaged-"),
            "{file}, {what}: {}",
            daemon.said()
        );
        println!("{file}, {what}: put aside: {noticed}");
    }
}

#[test]
fn a_damaged_store_of_bans_lets_nobody_in() {
    survives("bans.redb");
}

#[test]
fn what_jails_remember_may_be_damaged() {
    survives("jails.redb");
}
