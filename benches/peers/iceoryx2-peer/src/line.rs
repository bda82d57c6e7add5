//! One direction between two processes: a publish-subscribe service for the data, an event service to wake the receiver.

use bench_common::{Outcome, now_ns, sleep_ms};
use iceoryx2::port::backpressure_strategy::BackpressureStrategy;
use iceoryx2::port::{listener::Listener, notifier::Notifier, publisher::Publisher, subscriber::Subscriber};
use iceoryx2::prelude::*;
use iceoryx2::service::port_factory::{event, publish_subscribe};

type Ipc = ipc::Service;

/// Both services of a line, opened by either side under one name.
pub struct Line {
    /// Keeps the services alive; absent where the caller keeps its node.
    _node: Option<Node<Ipc>>,
    data: publish_subscribe::PortFactory<Ipc, [u8], ()>,
    bell: event::PortFactory<Ipc>,
}

impl Line {
    /// Opens the services: lossless, with a queue of `queue` messages.
    pub fn open(name: &str, queue: usize) -> Outcome<Self> {
        let node = NodeBuilder::new().create::<Ipc>()?;
        let line = Self::on(&node, name, queue)?;
        Ok(Self { _node: Some(node), ..line })
    }

    /// Like [`Line::open`], on a node that the caller keeps.
    pub fn on(node: &Node<Ipc>, name: &str, queue: usize) -> Outcome<Self> {
        let service = name.try_into()?;
        let data = node
            .service_builder(&service)
            .publish_subscribe::<[u8]>()
            .enable_safe_overflow(false)
            .subscriber_max_buffer_size(queue)
            .subscriber_max_borrowed_samples(4)
            .open_or_create()?;
        let bell = node.service_builder(&service).event().open_or_create()?;
        Ok(Self { _node: None, data, bell })
    }

    /// The sending side, for messages of `size` bytes. `rings`: wake the receiver after each.
    pub fn sender(&self, size: usize, rings: bool) -> Outcome<Sender> {
        let data = self
            .data
            .publisher_builder()
            .initial_max_slice_len(size)
            .backpressure_strategy(BackpressureStrategy::RetryUntilDelivered)
            .create()?;
        let bell = if rings { Some(self.bell.notifier_builder().create()?) } else { None };
        Ok(Sender { data, bell, source: vec![7; size] })
    }

    /// The receiving side.
    pub fn receiver(&self) -> Outcome<Receiver> {
        Ok(Receiver { data: self.data.subscriber_builder().create()?, bell: self.bell.listener_builder().create()? })
    }

    /// Blocks until the other process receives on this line.
    pub fn wait_for_receiver(&self) {
        while self.data.dynamic_config().number_of_subscribers() == 0
            || self.bell.dynamic_config().number_of_listeners() == 0
        {
            sleep_ms(2);
        }
        sleep_ms(100);
    }
}

/// The sending ports and the buffer that is copied from.
pub struct Sender {
    data: Publisher<Ipc, [u8], ()>,
    bell: Option<Notifier<Ipc>>,
    source: Vec<u8>,
}

impl Sender {
    /// Takes the time, then sends it in the first 8 bytes. `copy`: the whole payload is copied in, otherwise the
    /// remaining bytes are left as they are. Returns the number of receivers reached.
    #[allow(unsafe_code)]
    pub fn send(&mut self, copy: bool) -> Outcome<usize> {
        self.source[..8].copy_from_slice(&now_ns().to_ne_bytes());
        let mut sample = self.data.loan_slice_uninit(self.source.len())?;
        let sample = if copy {
            sample.write_from_slice(&self.source)
        } else {
            for (to, from) in sample.payload_mut().iter_mut().zip(&self.source[..8]) {
                to.write(*from);
            }
            // SAFETY: fresh shared memory is zeroed by the kernel and used chunks hold earlier messages, so that every
            // byte has a value; the receiver reads the first 8 alone.
            unsafe { sample.assume_init() }
        };
        let reached = sample.send()?;
        if let Some(bell) = &self.bell {
            bell.notify()?;
        }
        Ok(reached)
    }
}

/// The receiving ports.
pub struct Receiver {
    data: Subscriber<Ipc, [u8], ()>,
    bell: Listener<Ipc>,
}

impl Receiver {
    /// The stamp of the next message and the time it was in our hands, if one is there.
    pub fn try_take(&self) -> Outcome<Option<(u64, u64)>> {
        let Some(sample) = self.data.receive()? else { return Ok(None) };
        let now = now_ns();
        let stamp = sample.payload().first_chunk().ok_or("a message without a stamp")?;
        Ok(Some((u64::from_ne_bytes(*stamp), now)))
    }

    /// Connects to new senders without taking a message.
    pub fn connect(&self) -> Outcome<()> {
        self.data.has_samples()?;
        Ok(())
    }

    /// The next message; sleeps until it comes.
    pub fn take(&self) -> Outcome<(u64, u64)> {
        loop {
            if let Some(message) = self.try_take()? {
                return Ok(message);
            }
            self.bell.blocking_wait(|_| {})?;
        }
    }

    /// The next message; never sleeps.
    pub fn spin(&self) -> Outcome<(u64, u64)> {
        loop {
            if let Some(message) = self.try_take()? {
                return Ok(message);
            }
            std::hint::spin_loop();
        }
    }
}
