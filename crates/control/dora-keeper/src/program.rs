//! Why a program could not be started, said so that its user can do something about it.
//!
//! It looks at files only; it starts nothing.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

/// A sentence without the node's name and without a full stop, for `node x could not be started: ...`.
pub(crate) fn explain(path: &Path, working_dir: &Path, error: &io::Error) -> String {
    let program = path.display();
    if !working_dir.is_dir() {
        return format!("its working directory `{}` is not a directory", working_dir.display());
    }
    match error.raw_os_error() {
        Some(libc::ENOENT) if path.exists() => match shebang(path) {
            Some(interpreter) => format!("`{program}` asks for the interpreter `{interpreter}`, which does not exist"),
            None => format!("`{program}` needs a dynamic loader that does not exist; was it built for another system?"),
        },
        Some(libc::ENOENT | libc::ENOTDIR) => format!("`{program}` does not exist"),
        Some(libc::EACCES) if path.is_dir() => format!("`{program}` is a directory"),
        Some(libc::EACCES) => format!("`{program}` is not executable; `chmod +x` makes it so"),
        Some(libc::ENOEXEC) => foreign(path),
        Some(libc::E2BIG) => "its arguments and environment are too long for the system".to_owned(),
        Some(libc::ETXTBSY) => format!("`{program}` is still being written"),
        _ => format!("`{program}`: {error}"),
    }
}

/// What kind of file it is that this system refuses to execute.
fn foreign(program: &Path) -> String {
    let shown = program.display();
    let head = head(program);
    let own = machine(&head_of_self()).unwrap_or("this architecture");
    if let Some(machine) = machine(&head) {
        return match machine == own {
            true => format!("`{shown}` is an ELF file for {own} but not a program, or a damaged one"),
            false => format!("`{shown}` is a program for {machine}, this machine is {own}; build it for {own}"),
        };
    }
    match head {
        [b'M', b'Z', ..] => format!("`{shown}` is a Windows program, this machine runs Linux on {own}"),
        [0xcf | 0xce, 0xfa, 0xed, 0xfe, ..] | [0xca, 0xfe, 0xba, 0xbe, ..] => {
            format!("`{shown}` is a macOS program, this machine runs Linux on {own}")
        }
        [0, ..] => format!("`{shown}` is empty or not a program"),
        _ => format!("`{shown}` is neither a program nor a script whose first line is `#!` and an interpreter"),
    }
}

const HEAD: usize = 20;

fn head(path: &Path) -> [u8; HEAD] {
    let mut head = [0; HEAD];
    let _ = File::open(path).and_then(|mut file| file.read(&mut head));
    head
}

fn head_of_self() -> [u8; HEAD] {
    head(Path::new("/proc/self/exe"))
}

/// The architecture that an ELF file is for: the field `e_machine`.
fn machine(head: &[u8; HEAD]) -> Option<&'static str> {
    if !head.starts_with(b"\x7fELF") {
        return None;
    }
    let big_endian = head[5] == 2;
    let field = [head[18], head[19]];
    let number = if big_endian { u16::from_be_bytes(field) } else { u16::from_le_bytes(field) };
    Some(match number {
        3 => "x86 (32 bit)",
        8 => "MIPS",
        20 => "PowerPC",
        21 if big_endian => "PowerPC 64",
        21 => "PowerPC 64 (little endian)",
        22 => "IBM Z",
        40 => "ARM (32 bit)",
        62 => "x86-64",
        183 => "ARM64 (aarch64)",
        243 => "RISC-V",
        258 => "LoongArch",
        _ => "an architecture unknown to dora",
    })
}

/// The interpreter in a script's first line.
fn shebang(program: &Path) -> Option<String> {
    let mut head = [0; 256];
    let len = File::open(program).and_then(|mut file| file.read(&mut head)).ok()?;
    let line = head[..len].strip_prefix(b"#!")?.split(|&byte| byte == b'\n').next()?;
    Some(String::from_utf8_lossy(line).split_whitespace().next()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elf(machine: u16, big_endian: bool) -> [u8; HEAD] {
        let mut head = [0; HEAD];
        head[..4].copy_from_slice(b"\x7fELF");
        head[5] = if big_endian { 2 } else { 1 };
        head[18..].copy_from_slice(&if big_endian { machine.to_be_bytes() } else { machine.to_le_bytes() });
        head
    }

    #[test]
    fn architectures_are_named() {
        assert_eq!(machine(&elf(183, false)), Some("ARM64 (aarch64)"));
        assert_eq!(machine(&elf(22, true)), Some("IBM Z"));
        assert_eq!(machine(b"#!/bin/sh\nexit 0\n..."[..HEAD].try_into().unwrap()), None);
    }

    #[test]
    fn our_own_is_known() {
        let expected = if cfg!(target_arch = "x86_64") { "x86-64" } else { "ARM64 (aarch64)" };
        assert_eq!(machine(&head_of_self()), Some(expected));
    }
}
