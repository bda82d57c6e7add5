//! The `dora` program.
fn main() -> std::process::ExitCode {
    dora_cli::main()
}
