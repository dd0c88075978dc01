//! The `guardctl` command.
fn main() {
    println!("{}", guard_user::OBJECT.len());
}
