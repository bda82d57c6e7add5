//! Signals that come while a producer waits.
#![cfg(not(loom))]
#![allow(unsafe_code, clippy::unwrap_used)]

mod common;

use std::{
    os::unix::thread::JoinHandleExt,
    sync::{Mutex, mpsc},
    thread,
    time::Duration,
};

use common::{Asleep, SharedMemory, ShmReceiver, send};
use dora_channel::{
    Policy, Polled, SendError,
    conformance::{Edge, Harness},
    os::signal::on_interrupt,
};

/// The only consumer, for whoever handles a signal.
static RECEIVER: Mutex<Option<ShmReceiver>> = Mutex::new(None);

extern "C" fn nothing(_signal: libc::c_int) {}

fn receive() -> bool {
    let mut receiver = RECEIVER.lock().unwrap();
    matches!(receiver.as_mut().unwrap().consumer.poll(), Polled::Message { .. })
}

#[test]
fn a_wait_that_was_given_up_is_told_once_although_there_is_room_by_then() {
    // SAFETY: the handler does nothing, and the structure is complete: no flags, so that waits are interrupted.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = nothing as extern "C" fn(libc::c_int) as usize;
        assert_eq!(libc::sigaction(libc::SIGUSR1, &raw const action, std::ptr::null_mut()), 0);
    }
    // There is room as soon as the wait was given up.
    on_interrupt(receive);
    let (mut sender, mut receivers) =
        SharedMemory(Asleep::OnFutex).fan_out(&[Edge { capacity: 1, policy: Policy::Backpressure }]);
    *RECEIVER.lock().unwrap() = receivers.pop();
    send(&mut sender.producer, b"first", b"").unwrap();
    let (told, end) = mpsc::channel();
    let waiting = thread::spawn(move || {
        told.send(send(&mut sender.producer, b"second", b"")).unwrap();
        sender
    });
    // A signal that comes before it sleeps interrupts nothing.
    let interrupted = loop {
        // SAFETY: the thread was not joined.
        unsafe { libc::pthread_kill(waiting.as_pthread_t(), libc::SIGUSR1) };
        if let Ok(result) = end.recv_timeout(Duration::from_millis(1)) {
            break result;
        }
    };
    assert!(matches!(interrupted, Err(SendError::Interrupted)), "{interrupted:?}");
    let mut sender = waiting.join().unwrap();
    assert!(receive(), "there was room for it");
    assert_eq!(send(&mut sender.producer, b"third", b"").unwrap(), 1);
    assert!(receive());
}
