//! `top`: what it shows of real traffic on a real terminal, what its keys do, and how it ends.

mod scene;
mod screen;
mod without;
