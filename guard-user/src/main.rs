//! The `guardctl` command.
use aya::programs::TestRun as _;
fn main() {
    let mut o = guard_user::dataplane::Object::load(
        guard_user::dataplane::Parameters {
            slot_words: 35009 + 1000,
            shards: 2,
            own_shard: true,
            seed: 1,
        },
        None,
    )
    .unwrap();
    let info = o.ingress().unwrap().info().unwrap();
    println!(
        "verified {:?} xlated {:?} jited {}",
        info.verified_instruction_count(),
        info.size_translated(),
        info.size_jitted()
    );
}
