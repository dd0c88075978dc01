//! The daemon's socket: both ends read the same, and what is read is written the same.

use std::fmt::Debug;

use guard_user::control::{
    MOST_BYTES, Request, Response,
    testing::{read, write},
};

pub(crate) fn run(input: &[u8]) {
    // As it came, and as JSON that is framed here.
    let mut framed = (input.len() as u32).to_be_bytes().to_vec();
    framed.extend(input);
    for bytes in [input, framed.as_slice()] {
        both::<Request>(bytes);
        both::<Response>(bytes);
    }
}

fn both<T>(bytes: &[u8])
where
    T: Debug + PartialEq + serde::Serialize + serde::de::DeserializeOwned,
{
    let value = match read::<T>(bytes) {
        [Ok(command), Ok(daemon)] => {
            assert_eq!(command, daemon);
            command
        }
        [Err(_), Err(_)] => return,
        one => panic!("one end takes what the other refuses: {one:?}"),
    };
    let Ok(frame) = write(&value) else {
        return;
    };
    assert!(frame.len() <= 4 + MOST_BYTES);
    let [again, _] = read::<T>(&frame);
    assert_eq!(again.expect("it was written by us"), value);
}
