#[path = "../tests/common/mod.rs"]
mod common;
use common::*;
use dora_message::{keeper::QueuePolicy, metadata::MetadataParameters};
use dora_node::Event;
use std::time::Instant;
fn main() {
    let n: u64 = 4_000_000;
    for (queue, mode) in [(1000, "value"), (32, "value"), (1000, "raw8"), (1000, "chunk64"), (1000, "params")] {
        let (_k, mut nodes) =
            start(&[node("a").output("x"), node("b").queue("x", "a/x", queue, QueuePolicy::Backpressure)]);
        let (_b, mut events) = nodes.pop().unwrap();
        let (mut a, _) = nodes.pop().unwrap();
        let t = std::thread::spawn(move || {
            let id = dora_message::id::DataId::from("x");
            let t0 = Instant::now();
            for i in 0..n {
                let mut p = MetadataParameters::new();
                match mode {
                    "value" => a.send_output(id.clone(), p, i).unwrap(),
                    "raw8" => a.send_output_raw(id.clone(), p, 8, |b| b.copy_from_slice(&i.to_ne_bytes())).unwrap(),
                    "chunk64" => {
                        a.send_output_raw(id.clone(), p, 64, |b| b[..8].copy_from_slice(&i.to_ne_bytes())).unwrap()
                    }
                    _ => {
                        p.insert("k".into(), (i as i64).into());
                        a.send_output(id.clone(), p, i).unwrap()
                    }
                }
            }
            t0.elapsed()
        });
        let t0 = Instant::now();
        let mut got = 0;
        while let Some(e) = events.recv() {
            if let Event::Input { .. } = e {
                got += 1;
            }
        }
        let e = t0.elapsed();
        t.join().unwrap();
        println!("{mode} queue {queue}: {got} {:.2} M/s", n as f64 / e.as_secs_f64() / 1e6);
    }
    // sender alone, drop_oldest
    let (_k, mut nodes) = start(&[node("a").output("x"), node("b").queue("x", "a/x", 1000, QueuePolicy::DropNewest)]);
    let (_b, _events) = nodes.pop().unwrap();
    let (mut a, _) = nodes.pop().unwrap();
    let id = dora_message::id::DataId::from("x");
    let t0 = Instant::now();
    for i in 0..n {
        a.send_output(id.clone(), MetadataParameters::new(), i).unwrap();
    }
    println!("sender alone: {:.1} ns", t0.elapsed().as_nanos() as f64 / n as f64);
}
