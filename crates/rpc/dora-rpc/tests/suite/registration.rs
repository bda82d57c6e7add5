//! Registering with somebody who comes and goes. On a paused clock.

use std::{cell::RefCell, time::Duration};

use dora_rpc::{ConnectError, Gateway, RetryingRegistration, Role, RpcError, RpcService};
use tokio::{sync::mpsc, time::Instant};

use crate::{
    link::{Link, config, listen},
    scripted::{CallbackCall, CallbackGateway, Named},
};

#[tokio::test(start_paused = true)]
async fn it_waits_longer_each_time_and_gives_up_only_when_refused() {
    let begun = Instant::now();
    let waits = RefCell::new(Vec::new());
    let refused = RetryingRegistration::default()
        .run(|| async {
            waits.borrow_mut().push(begun.elapsed());
            if waits.borrow().len() <= 10 {
                Err::<(), _>(RpcError::Disconnected { reason: "not yet".to_owned() })
            } else {
                Err(RpcError::Forbidden { endpoint: "resources".to_owned(), role: "client".to_owned() })
            }
        })
        .await;
    assert!(matches!(refused, Err(RpcError::Forbidden { .. })));
    let waits = waits.into_inner();
    let gaps: Vec<Duration> = waits.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(gaps.len(), 10);
    for (attempt, gap) in gaps.iter().enumerate() {
        let full = (Duration::from_millis(100) * (1 << attempt)).min(Duration::from_secs(5));
        assert!(*gap <= full + Duration::from_millis(1) && *gap >= full * 3 / 4, "{attempt}: {gap:?} of {full:?}");
    }
}

/// A service that is started twice; who was registered with the first is registered with the second by itself.
#[tokio::test]
async fn who_was_cut_off_registers_again() {
    let directory = tempfile::tempdir().unwrap();
    let start = async |name| {
        let service = RpcService::new(config(Role::Coordinator));
        service.start_server("named", Named(name)).unwrap();
        let address = listen(&service, Link::Unix, &directory).await;
        (service, address)
    };
    let (first, address) = start("first").await;
    let (registered, mut registrations) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let client = RpcService::new(config(Role::Daemon));
        let attempt = || async {
            let gateway: Gateway<CallbackCall> = client.connect(&address, "named").await?;
            let name = gateway.name().await?;
            Ok::<_, ConnectError>((gateway, name))
        };
        RetryingRegistration::default()
            .keep(attempt, |(gateway, name)| {
                registered.send(name).unwrap();
                async move { gateway.closed().await }
            })
            .await
    });
    assert_eq!(registrations.recv().await.as_deref(), Some("first"));
    first.stop().await;
    let _second = start("second").await;
    assert_eq!(registrations.recv().await.as_deref(), Some("second"));
}
