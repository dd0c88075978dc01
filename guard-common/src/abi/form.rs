//! How frames of IPv6 go from one program to another and back.

/// Place of the program that looks at them.
pub const OTHERS: u32 = 0;
/// Place of the program that every frame begins with, which goes on where the other one has not the last word.
pub const BACK: u32 = 1;
/// Programs.
pub const PROGRAMS: u32 = 2;
