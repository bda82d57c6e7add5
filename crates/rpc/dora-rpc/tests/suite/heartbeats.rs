//! Who is alive. On a paused clock, so the times are exact; over a cable that is cut, on the real one.

use std::time::Duration;

use dora_rpc::{
    Address, Gateway, HeartbeatConfig, HeartbeatListener, HeartbeatManager, MainThread, Role, RpcEndpoint, RpcError,
    Server, Token, Unreachable,
};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::{mpsc, watch},
    time::Instant,
};

use crate::{
    link::{self, Link, World},
    scripted::{CallbackCall, ScriptCall, ScriptError, ScriptGateway},
};

const SECOND: Duration = Duration::from_secs(1);

/// Watches scripted endpoints: `add` is the heartbeat of those with an even number, `work`, which never answers, of others.
struct Watcher {
    heartbeats: HeartbeatManager<u32>,
    gateway: Gateway<ScriptCall>,
    /// Heartbeats that were answered.
    beats: watch::Sender<u64>,
    lost: mpsc::UnboundedSender<(u32, Unreachable)>,
}

impl RpcEndpoint for Watcher {
    type Call = CallbackCall;

    fn handle(&mut self, _main: &mut MainThread<Self>, _call: CallbackCall) {}
}

impl HeartbeatListener<u32> for Watcher {
    fn heartbeats(&mut self) -> &mut HeartbeatManager<u32> {
        &mut self.heartbeats
    }

    fn heartbeat(&mut self, target: &u32) -> impl Future<Output = Result<(), RpcError>> + Send + 'static {
        let (gateway, answers) = (self.gateway.within(60 * SECOND), target.is_multiple_of(2));
        let beats = self.beats.clone();
        async move {
            let beat = if answers { gateway.add(1).await.map(|_| ()) } else { gateway.work().await };
            beats.send_modify(|beats| *beats += u64::from(beat.is_ok()));
            beat.map_err(|error| match error {
                ScriptError::Rpc(error) => error,
                ScriptError::Refused(_) => unreachable!(),
            })
        }
    }

    fn unreachable(&mut self, _main: &mut MainThread<Self>, target: u32, reason: Unreachable) {
        let _ = self.lost.send((target, reason));
    }
}

/// A watcher at work.
struct Watched {
    server: Server<Watcher>,
    /// How many heartbeats were answered.
    answered: watch::Receiver<u64>,
    losses: mpsc::UnboundedReceiver<(u32, Unreachable)>,
}

async fn watch(world: &World, targets: impl IntoIterator<Item = u32>) -> Watched {
    watch_at(world, world.gateway.clone(), HeartbeatConfig::default(), targets).await
}

async fn watch_at(
    world: &World,
    gateway: Gateway<ScriptCall>,
    config: HeartbeatConfig,
    targets: impl IntoIterator<Item = u32>,
) -> Watched {
    let ((beats, answered), (lost, losses)) = (watch::channel(0), mpsc::unbounded_channel());
    let watcher = Watcher { heartbeats: HeartbeatManager::new(config), gateway, beats, lost };
    let server = world.client.start_server("watcher", watcher).unwrap();
    for target in targets {
        server.executor().call(move |watcher, main| HeartbeatManager::monitor(watcher, main, target)).await.unwrap();
    }
    Watched { server, answered, losses }
}

async fn links(test: impl AsyncFn(World)) {
    for link in [Link::Memory, Link::Serialized] {
        test(World::new(link).await).await;
    }
}

#[tokio::test(start_paused = true)]
async fn who_answers_is_alive_for_ever() {
    links(async |world| {
        let mut watched = watch(&world, [2]).await;
        let hour = tokio::time::timeout(3600 * SECOND, watched.losses.recv()).await;
        assert!(hour.is_err(), "it was lost: {hour:?}");
        // A heartbeat every two seconds, and no more than that.
        assert!((1799..=1802).contains(&world.gateway.add(0).await.unwrap()));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn who_hangs_is_unreachable_after_the_timeout() {
    links(async |world| {
        let begun = Instant::now();
        let mut watched = watch(&world, [1]).await;
        let (target, reason) = watched.losses.recv().await.unwrap();
        assert_eq!((target, begun.elapsed()), (1, 10 * SECOND));
        assert!(matches!(reason, Unreachable::Silent(time) if time == 10 * SECOND), "{reason:?}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn who_has_ended_is_unreachable_after_two_failures() {
    links(async |world| {
        let mut watched = watch(&world, [2]).await;
        watched.answered.wait_for(|beats| *beats == 10).await.unwrap();
        world.server.stop().await;
        let ended = Instant::now();
        let (_, reason) = watched.losses.recv().await.unwrap();
        assert!(ended.elapsed() <= 4 * SECOND);
        assert!(matches!(reason, Unreachable::Failing(RpcError::Stopped { .. })), "{reason:?}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_sign_of_life_counts_and_a_forgotten_target_is_not_reported() {
    let world = World::new(Link::Memory).await;
    let begun = Instant::now();
    let mut watched = watch(&world, [1, 3]).await;
    // On the paused clock: one second before both would count as silent.
    tokio::time::sleep(9 * SECOND).await;
    watched
        .server
        .executor()
        .call(|watcher, _| {
            watcher.heartbeats.seen(&1);
            watcher.heartbeats.forget(&3);
        })
        .await
        .unwrap();
    let (target, _) = watched.losses.recv().await.unwrap();
    assert_eq!(target, 1);
    assert!(begun.elapsed() >= 19 * SECOND, "{:?}", begun.elapsed());
    let more = tokio::time::timeout(60 * SECOND, watched.losses.recv()).await;
    assert!(more.is_err(), "{more:?}");
    assert_eq!(watched.server.executor().call(|watcher, _| watcher.heartbeats.targets().count()).await, Ok(0));
}

#[tokio::test(start_paused = true)]
async fn a_stop_does_not_wait_for_heartbeats() {
    let world = World::new(Link::Memory).await;
    let watched = watch(&world, [1, 2]).await;
    let begun = Instant::now();
    watched.server.stop().await;
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

/// A reader that does not read, and heartbeats to the same endpoint over the same connection.
#[tokio::test(start_paused = true)]
async fn a_slow_log_reader_delays_no_heartbeat() {
    links(async |world| {
        let _unread = world.gateway.follow(1000).await.unwrap();
        let mut watched = watch(&world, [2]).await;
        for _ in 0..50 {
            world.gateway.push(10_000).await.unwrap();
            let beat = tokio::time::timeout(3 * SECOND, watched.answered.changed()).await;
            assert!(beat.is_ok(), "a heartbeat was late");
        }
        assert!(watched.losses.try_recv().is_err());
    })
    .await;
}

/// Between caller and service until it is cut: then both keep an open connection on which nothing comes any more, as when a
/// cable is pulled.
async fn cable(to: String) -> (u16, watch::Sender<bool>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (cut, mut is_cut) = watch::channel(false);
    tokio::spawn(async move {
        let (mut near, _) = listener.accept().await.unwrap();
        let mut far = TcpStream::connect(to).await.unwrap();
        tokio::select! {
            _ = copy_bidirectional(&mut near, &mut far) => {}
            _ = is_cut.wait_for(|cut| *cut) => {}
        }
        // Both ends stay open until the test is over.
        let _ = is_cut.wait_for(|cut| !*cut).await;
    });
    (port, cut)
}

#[tokio::test]
async fn who_is_cut_off_without_a_word_is_unreachable() {
    let token = Token::generate().unwrap();
    let world = World::with_token(Link::Tcp, link::config(Role::Coordinator), token.clone()).await;
    let (port, cut) = cable(world.address.to_string()).await;
    let address = Address::tcp("127.0.0.1", port).with_token(token);
    let gateway: Gateway<ScriptCall> = world.client.connect(&address, "script").await.unwrap();
    let config =
        HeartbeatConfig { interval: Duration::from_millis(20), timeout: Duration::from_millis(1500), failures: 2 };
    let mut watched = watch_at(&world, gateway.clone(), config, [2]).await;
    watched.answered.wait_for(|beats| *beats >= 3).await.unwrap();
    assert!(watched.losses.try_recv().is_err());
    cut.send_replace(true);
    let (_, reason) = watched.losses.recv().await.unwrap();
    assert!(matches!(reason, Unreachable::Silent(_)), "{reason:?}");
    let within = Duration::from_millis(50);
    let late = gateway.within(within).add(0).await;
    assert_eq!(late, Err(RpcError::Deadline { method: "add".to_owned(), within }.into()));
    // The way that was not cut is none the worse, and the service can stop although nobody hears it.
    assert!(world.gateway.add(0).await.is_ok());
    world.service.stop().await;
}
