//! A program that misbehaves in one way at a time, for the tests of who runs programs. Not part of the product.
//!
//! Its first argument says how. It prints a line `ready` once it is what it is to be.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "printing is what it is for")]
#![allow(clippy::disallowed_methods, reason = "it runs in real time")]
#![allow(clippy::zombie_processes, reason = "zombies are one of its ways")]

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;
use rustix::event::{Timespec, poll};

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let (mode, argument) = (args.get(1).map_or("", String::as_str), args.get(2).map_or("", String::as_str));
    match mode {
        // Prints numbered lines, one every so many milliseconds.
        "count" => {
            for n in 0_u64.. {
                println!("line {n}");
                pause(argument.parse().unwrap_or(10));
            }
        }
        "exit" => {
            println!("ready");
            eprintln!("the reason why it ended");
            std::process::exit(argument.parse().unwrap_or(1));
        }
        "exit_after" => {
            println!("ready");
            pause(argument.parse().unwrap_or(3000));
            std::process::exit(3);
        }
        "hang" => {
            println!("ready");
            sleep();
        }
        "ignore_term" => {
            ignore(Signal::SIGTERM);
            println!("ready");
            sleep();
        }
        "double_fork" => double_fork(argument),
        "orphan" => {
            let _ = rustix::process::setsid();
            ignore(Signal::SIGTERM);
            sleep();
        }
        // Two children that end at once and that it never waits for.
        "zombies" => {
            let own = std::env::current_exe().expect("it runs");
            for _ in 0..2 {
                let _unwaited = Command::new(&own).args(["exit", "0"]).stdout(Stdio::null()).spawn().expect("it runs");
            }
            println!("ready");
            sleep();
        }
        "flood" => {
            let line = "x".repeat(199);
            for n in 0_u64..argument.parse().unwrap_or(u64::MAX) {
                println!("{n} {line}");
            }
        }
        "close_pipes" => {
            println!("ready");
            let null = std::fs::File::options().write(true).open("/dev/null").expect("Linux has it");
            rustix::stdio::dup2_stdout(&null).expect("open");
            rustix::stdio::dup2_stderr(&null).expect("open");
            sleep();
        }
        "leak" => {
            let mut kept = Vec::new();
            println!("ready");
            loop {
                kept.push(vec![1_u8; 1 << 20]);
                pause(5);
            }
        }
        "spin" => {
            println!("ready");
            loop {
                std::hint::spin_loop();
            }
        }
        "half_utf8" => {
            let _ = std::io::stdout().write_all(b"half \xe2\x82");
            let _ = std::io::stdout().flush();
        }
        "environment" => environment(&args[2..]),
        other => {
            eprintln!("no such way: {other}");
            std::process::exit(64);
        }
    }
}

/// Leaves a child of a session of its own behind, as daemons do, and ends.
fn double_fork(argument: &str) {
    let own = std::env::current_exe().expect("it runs");
    if argument == "middle" {
        Command::new(own).arg("orphan").process_group(0).spawn().expect("it runs");
    } else {
        let middle = Command::new(own).args(["double_fork", "middle"]).stdin(Stdio::null()).spawn();
        let _ = middle.expect("it runs").wait();
        println!("ready");
        if argument == "stay" {
            sleep();
        }
    }
}

fn environment(arguments: &[String]) {
    for (name, value) in std::env::vars() {
        println!("{name}={value}");
    }
    let mask = rustix::process::umask(rustix::fs::Mode::empty());
    println!("umask={:03o}", mask.bits());
    println!("uid={}", rustix::process::getuid().as_raw());
    println!("files={:?}", rustix::process::getrlimit(rustix::process::Resource::Nofile).current);
    println!("cwd={}", std::env::current_dir().expect("a folder").display());
    println!("arguments={:?}", arguments);
}

fn pause(ms: u32) {
    let time = Timespec { tv_sec: i64::from(ms / 1000), tv_nsec: i64::from(ms % 1000) * 1_000_000 };
    let _ = poll(&mut [], Some(&time));
}

fn sleep() -> ! {
    loop {
        pause(3_600_000);
    }
}

fn ignore(signal: Signal) {
    // Blocking is as good as ignoring, and needs no unsafe code.
    let mut set = nix::sys::signal::SigSet::empty();
    set.add(signal);
    set.thread_block().expect("a good set");
}
