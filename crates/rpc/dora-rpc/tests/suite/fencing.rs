//! Leadership: who may be called, by whom.

use dora_rpc::{ConnectError, FencingToken, Publication, Role, RpcError};

use crate::{
    link::{Link, World},
    scripted::{CallbackCall, CallbackGateway, Named},
};

crate::over_every_link!(
    only_who_names_the_leader_reaches_it,
    a_gateway_dies_with_the_leadership_it_was_made_for,
    an_endpoint_is_handed_out_by_role,
);

fn leader(epoch: u64) -> FencingToken {
    FencingToken { epoch, nonce: 7 }
}

async fn only_who_names_the_leader_reaches_it(link: Link) {
    let world = World::new(link).await;
    let publication = Publication::new("leader").fenced(leader(3));
    let server = world.service.start_server(publication, Named("third")).unwrap();
    let connect = |token| world.client.connect_fenced::<CallbackCall>(&world.address, "leader", token);
    assert_eq!(connect(leader(3)).await.unwrap().name().await, Ok("third".to_owned()));
    for stale in [leader(2), leader(4), FencingToken { epoch: 3, nonce: 8 }] {
        let refused = connect(stale).await.unwrap_err();
        assert!(matches!(refused, ConnectError::Rpc(RpcError::Fenced { .. })), "{refused}");
    }
    let unfenced = world.client.connect::<CallbackCall>(&world.address, "leader").await.unwrap_err();
    assert!(unfenced.to_string().contains("asked for no leader, it is epoch 3"), "{unfenced}");
    let to_unfenced = world.client.connect_fenced::<crate::scripted::ScriptCall>(&world.address, "script", leader(3));
    assert!(matches!(to_unfenced.await.unwrap_err(), ConnectError::Rpc(RpcError::Fenced { .. })));
    server.stop().await;
}

async fn a_gateway_dies_with_the_leadership_it_was_made_for(link: Link) {
    let world = World::new(link).await;
    let publish = |epoch| Publication::new("leader").fenced(leader(epoch));
    let former = world.service.start_server(publish(1), Named("former")).unwrap();
    let gateway = world.client.connect_fenced::<CallbackCall>(&world.address, "leader", leader(1)).await.unwrap();
    assert_eq!(gateway.name().await, Ok("former".to_owned()));
    former.stop().await;
    let retry = dora_rpc::RetryingRegistration::default();
    let _current = retry
        .run(|| async { world.service.start_server(publish(2), Named("current")).map_err(Taken) })
        .await
        .unwrap_or_else(|Taken(error)| panic!("{error}"));
    // Although the name leads to another leader now.
    assert_eq!(gateway.name().await, Err(RpcError::Stopped { endpoint: "CallbackGateway".to_owned() }));
    let stale = world.client.connect_fenced::<CallbackCall>(&world.address, "leader", leader(1)).await.unwrap_err();
    assert!(matches!(stale, ConnectError::Rpc(RpcError::Fenced { .. })), "{stale}");
}

/// The name of an endpoint is free a moment after it has ended.
struct Taken(dora_rpc::StartError);

impl dora_rpc::Retryable for Taken {
    fn retryable(&self) -> bool {
        true
    }
}

async fn an_endpoint_is_handed_out_by_role(link: Link) {
    let world = World::new(link).await;
    let publication = Publication::new("daemons").only_for([Role::Daemon]);
    let _server = world.service.start_server(publication, Named("inner")).unwrap();
    let refused = world.client.connect::<CallbackCall>(&world.address, "daemons").await;
    match link {
        // Within a process everybody is trusted.
        Link::Memory => assert!(refused.is_ok()),
        _ => assert_eq!(refused.unwrap_err().to_string(), "a coordinator may not call endpoint `daemons`"),
    }
}
