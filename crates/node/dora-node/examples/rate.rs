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
    for mode in ["value", "raw8", "chunk64", "params"] {
        let (_k, mut nodes) =
            start(&[node("a").output("x"), node("b").queue("x", "a/x", 1000, QueuePolicy::Backpressure)]);
        let (_b, mut events) = nodes.pop().unwrap();
        let (mut a, _) = nodes.pop().unwrap();
        let id = dora_message::id::DataId::from("x");
        let (mut best_send, mut best_recv, mut best_conv) = (u128::MAX, u128::MAX, u128::MAX);
        for _ in 0..3000 {
            let t0 = Instant::now();
            for i in 0..900u64 {
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
            best_send = best_send.min(t0.elapsed().as_nanos());
            let t0 = Instant::now();
            for _ in 0..900 {
                std::hint::black_box(events.recv().unwrap());
            }
            best_recv = best_recv.min(t0.elapsed().as_nanos());
            let t0 = Instant::now();
            for i in 0..900u64 {
                std::hint::black_box((id.clone(), dora_arrow_convert::IntoArrow::into_arrow(i)));
            }
            best_conv = best_conv.min(t0.elapsed().as_nanos());
        }
        println!(
            "{mode}: send {} ns, recv {} ns, (u64 to array and id clone {} ns)",
            best_send / 900,
            best_recv / 900,
            best_conv / 900
        );
    }
}
