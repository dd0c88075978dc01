//! A27: moving in. What a real ufw, firewalld, iptables and nftables let in, guard lets in with the policy that it made of
//! their rules, and nothing else.

mod firewalld;
mod netfilter;
mod scene;
mod ufw;
