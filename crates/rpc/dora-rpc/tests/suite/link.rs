//! The kinds of link between caller and endpoint, and a scripted endpoint at the end of one.

use std::time::Duration;

use dora_rpc::{Address, Gateway, Identity, ListenOn, Request, Role, RpcConfig, RpcService, Server, Token};
use tempfile::TempDir;
use tokio::sync::mpsc;

use crate::scripted::{Heard, ScriptCall, Scripted};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    Memory,
    Serialized,
    Unix,
    Tcp,
    Tls,
}

impl Link {
    pub const PORTS: [Self; 3] = [Self::Unix, Self::Tcp, Self::Tls];
}

/// Runs a test over every kind of link: without sockets on a paused clock.
#[macro_export]
macro_rules! over_every_link {
    ($($test:ident),+ $(,)?) => {
        mod in_memory {
            $(#[tokio::test(start_paused = true)]
            async fn $test() { super::$test($crate::link::Link::Memory).await; })+
        }
        mod serialized {
            $(#[tokio::test(start_paused = true)]
            async fn $test() { super::$test($crate::link::Link::Serialized).await; })+
        }
        mod unix {
            $(#[tokio::test]
            async fn $test() { super::$test($crate::link::Link::Unix).await; })+
        }
        mod tcp {
            $(#[tokio::test]
            async fn $test() { super::$test($crate::link::Link::Tcp).await; })+
        }
        mod tls {
            $(#[tokio::test]
            async fn $test() { super::$test($crate::link::Link::Tls).await; })+
        }
    };
}

/// A service with a scripted endpoint, and what is needed to reach it.
pub struct World {
    pub service: RpcService,
    pub client: RpcService,
    pub address: Address,
    pub server: Server<Scripted>,
    pub heard: mpsc::UnboundedReceiver<Heard>,
    pub gateway: Gateway<ScriptCall>,
    pub directory: TempDir,
}

pub fn config(role: Role) -> RpcConfig {
    // Greeting is not what these tests measure, and the machine may be busy.
    RpcConfig { handshake_timeout: Duration::from_secs(30), ..RpcConfig::new(role, "test") }
}

/// Where a service with this configuration is reached over `link`.
pub async fn listen(service: &RpcService, link: Link, directory: &TempDir) -> Address {
    let address = "127.0.0.1:0".parse().unwrap();
    let on = match link {
        Link::Memory | Link::Serialized => return Address::here(),
        Link::Unix => ListenOn::Unix(directory.path().join("socket")),
        Link::Tcp => ListenOn::Tcp { address, insecure: false },
        Link::Tls => {
            let identity = Identity::generate(["localhost".to_owned()]).unwrap();
            ListenOn::Tls { address, identity }
        }
    };
    service.listen(on).await.unwrap()
}

impl World {
    pub async fn new(link: Link) -> Self {
        Self::with(link, config(Role::Coordinator)).await
    }

    pub async fn with(link: Link, config: RpcConfig) -> Self {
        Self::with_token(link, config, Token::generate().unwrap()).await
    }

    pub async fn with_token(link: Link, config: RpcConfig, token: Token) -> Self {
        let force_serialization = link == Link::Serialized;
        let service = RpcService::new(RpcConfig { force_serialization, token: Some(token.clone()), ..config.clone() });
        let (scripted, heard) = Scripted::new();
        let server = service.start_server("script", scripted).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let address = listen(&service, link, &directory).await.with_token(token);
        let client = match link {
            Link::Memory | Link::Serialized => service.clone(),
            _ => RpcService::new(RpcConfig { token: None, ..config }),
        };
        let gateway = client.connect(&address, "script").await.unwrap();
        let mut world = Self { service, client, address, server, heard, gateway, directory };
        assert_eq!(world.hears().await, Heard::Started);
        world
    }

    /// A connection of its own to the endpoint `name`.
    pub async fn connect<R: Request>(&self, name: &str) -> Gateway<R> {
        self.client.connect(&self.address, name).await.unwrap()
    }

    pub async fn hears(&mut self) -> Heard {
        self.heard.recv().await.unwrap()
    }
}
