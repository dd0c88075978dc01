//! Tells the BPF linker which machine it generates code for.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_ARCH").as_deref() == Ok("bpf") {
        // The machine itself is rustc's `generic`: v3 since LLVM 20, known to kernels since 5.1.
        // A header field is rarely aligned in its frame; the kernel's verifier allows the access on
        // every architecture with efficient unaligned loads (x86-64, arm64). Without this each
        // field is put together from single bytes.
        println!("cargo:rustc-link-arg-bins=--cpu-features=+allows-misaligned-mem-access");
    }
}
