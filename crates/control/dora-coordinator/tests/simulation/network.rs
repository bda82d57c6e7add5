//! Connections between processes, with everything that happens to them: they take time, are cut one way or both ways, slow,
//! or reset. Bytes of one connection stay in order; connections know nothing of each other.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll, Waker},
};

use fastrand::Rng;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::trace::Ms;

/// Where a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Site {
    Coordinator,
    Client,
    Machine(usize),
}

/// Tells a process from all others.
pub type Pid = u64;

#[derive(Clone)]
pub struct Network {
    state: Arc<Mutex<State>>,
}

struct State {
    now: Ms,
    dice: Rng,
    last: u64,
    wires: BTreeMap<u64, Wire>,
    cut: BTreeSet<(Site, Site)>,
    slow: BTreeSet<(Site, Site)>,
    /// The far ends of connections that have not arrived yet, by the wire on which they come.
    knocking: BTreeMap<u64, Pipe>,
}

/// One direction of a connection.
struct Wire {
    way: (Site, Site),
    receiver: Option<Pid>,
    under_way: VecDeque<(Ms, Piece)>,
    arrived: VecDeque<u8>,
    over: Option<Over>,
    reader: Option<Waker>,
    /// Ends that are held.
    ends: u8,
    /// Its receiver has vanished without a word.
    mute: bool,
}

enum Piece {
    Knock,
    Bytes(Vec<u8>),
    Over(Over),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Over {
    End,
    Reset,
}

/// What has arrived.
#[derive(Default)]
pub struct Arrivals {
    /// Processes that have something to read.
    pub readers: BTreeSet<Pid>,
    /// Callers, and where they want to.
    pub callers: Vec<(Site, Pipe)>,
}

impl Network {
    pub fn new(dice: Rng) -> Self {
        let (cut, slow) = (BTreeSet::new(), BTreeSet::new());
        let state = State { now: 0, dice, last: 0, wires: BTreeMap::new(), cut, slow, knocking: BTreeMap::new() };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub fn advance(&self, now: Ms) {
        self.lock().now = now;
    }

    /// Begins a connection.
    pub fn dial(&self, pid: Pid, from: Site, to: Site) -> Pipe {
        let mut state = self.lock();
        let (out, back) = (state.last + 1, state.last + 2);
        state.last = back;
        state.wires.insert(out, Wire::new((from, to), None));
        state.wires.insert(back, Wire::new((to, from), Some(pid)));
        state.knocking.insert(out, Pipe { network: self.clone(), reads: out, writes: back });
        state.send(out, Piece::Knock);
        Pipe { network: self.clone(), reads: back, writes: out }
    }

    /// When something arrives next.
    pub fn next(&self) -> Option<Ms> {
        let state = self.lock();
        let open = state.wires.values().filter(|wire| !state.cut.contains(&wire.way));
        open.filter_map(|wire| wire.under_way.front()).map(|(at, _)| *at).min()
    }

    /// Lets arrive what is due.
    pub fn deliver(&self) -> Arrivals {
        let (mut state, mut arrivals) = (self.lock(), Arrivals::default());
        let State { now, wires, cut, knocking, .. } = &mut *state;
        for (number, wire) in wires.iter_mut().filter(|(_, wire)| !cut.contains(&wire.way)) {
            while wire.under_way.front().is_some_and(|(at, _)| at <= now) {
                match wire.under_way.pop_front() {
                    Some((_, Piece::Knock)) => {
                        arrivals.callers.extend(knocking.remove(number).map(|it| (wire.way.1, it)));
                        continue;
                    }
                    Some((_, Piece::Bytes(bytes))) => wire.arrived.extend(bytes),
                    Some((_, Piece::Over(over))) => wire.over = wire.over.or(Some(over)),
                    None => {}
                }
                arrivals.readers.extend(wire.receiver);
                wire.reader.take().into_iter().for_each(Waker::wake);
            }
        }
        wires.retain(|_, wire| wire.ends > 0);
        arrivals
    }

    /// Nothing goes this way any more; what is under way waits.
    pub fn cut(&self, from: Site, to: Site) {
        self.lock().cut.insert((from, to));
    }

    /// What goes this way takes its time.
    pub fn slow(&self, from: Site, to: Site) {
        self.lock().slow.insert((from, to));
    }

    /// It goes this way again. What waited is sent again, sooner or later.
    pub fn heal(&self, from: Site, to: Site) {
        let mut state = self.lock();
        state.slow.remove(&(from, to));
        if !state.cut.remove(&(from, to)) {
            return;
        }
        let State { now, dice, wires, .. } = &mut *state;
        for wire in wires.values_mut().filter(|wire| wire.way == (from, to)) {
            let again = *now + dice.u64(1..500);
            wire.under_way.iter_mut().for_each(|(at, _)| *at = again.max(*at));
        }
    }

    pub fn heal_all(&self) {
        let ways: BTreeSet<_> = {
            let state = self.lock();
            state.cut.union(&state.slow).copied().collect()
        };
        ways.into_iter().for_each(|(from, to)| self.heal(from, to));
    }

    /// Connections between two places break.
    pub fn reset(&self, one: Site, other: Site) {
        let mut state = self.lock();
        let between = |wire: &&mut Wire| wire.way == (one, other) || wire.way == (other, one);
        for wire in state.wires.values_mut().filter(between) {
            wire.under_way.clear();
            wire.over = Some(Over::Reset);
            wire.reader.take().into_iter().for_each(Waker::wake);
        }
    }

    /// A process vanishes without a word, as a machine without power does.
    pub fn mute(&self, pid: Pid) {
        let mut state = self.lock();
        state.wires.values_mut().filter(|wire| wire.receiver == Some(pid)).for_each(|wire| wire.mute = true);
    }

    /// Whether what is sent this way arrives soon.
    pub fn is_well(&self, from: Site, to: Site) -> bool {
        let state = self.lock();
        !state.cut.contains(&(from, to)) && !state.slow.contains(&(from, to))
    }
}

impl State {
    fn send(&mut self, wire: u64, piece: Piece) {
        let Some(wire) = self.wires.get_mut(&wire) else { return };
        let slow = if self.slow.contains(&wire.way) { self.dice.u64(200..3000) } else { 0 };
        let at = self.now + slow + self.dice.u64(1..20);
        let at = wire.under_way.back().map_or(at, |(before, _)| at.max(*before));
        wire.under_way.push_back((at, piece));
    }
}

impl Wire {
    fn new(way: (Site, Site), receiver: Option<Pid>) -> Self {
        let (under_way, arrived) = (VecDeque::new(), VecDeque::new());
        Self { way, receiver, under_way, arrived, over: None, reader: None, ends: 2, mute: false }
    }
}

/// One end of a connection.
pub struct Pipe {
    network: Network,
    reads: u64,
    writes: u64,
}

impl Pipe {
    /// This process has taken the call.
    pub fn taken_by(&self, pid: Pid) {
        if let Some(wire) = self.network.lock().wires.get_mut(&self.reads) {
            wire.receiver = Some(pid);
        }
    }

    /// Nobody listens there.
    pub fn refuse(self) {
        self.network.lock().send(self.writes, Piece::Over(Over::Reset));
    }
}

impl AsyncRead for Pipe {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut state = self.network.lock();
        let Some(wire) = state.wires.get_mut(&self.reads) else { return Poll::Ready(Ok(())) };
        let count = into.remaining().min(wire.arrived.len());
        if count > 0 {
            into.put_slice(&wire.arrived.drain(..count).collect::<Vec<_>>());
            return Poll::Ready(Ok(()));
        }
        match wire.over {
            Some(Over::End) => Poll::Ready(Ok(())),
            Some(Over::Reset) => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            None => {
                wire.reader = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut state = self.network.lock();
        if state.wires.get(&self.reads).is_some_and(|wire| wire.over == Some(Over::Reset)) {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        state.send(self.writes, Piece::Bytes(bytes.to_vec()));
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.network.lock().send(self.writes, Piece::Over(Over::End));
        Poll::Ready(Ok(()))
    }
}

/// The system closes what a dead process held open.
impl Drop for Pipe {
    fn drop(&mut self) {
        let mut state = self.network.lock();
        if !state.wires.get(&self.reads).is_some_and(|wire| wire.mute) {
            state.send(self.writes, Piece::Over(Over::End));
        }
        for number in [self.reads, self.writes] {
            if let Some(wire) = state.wires.get_mut(&number) {
                wire.ends -= 1;
            }
        }
        // Nobody reads here any more.
        if let Some(wire) = state.wires.get_mut(&self.reads) {
            wire.under_way.clear();
        }
    }
}
