//! Callers that mean no good, or are broken, on every kind of port: the service goes on serving others.

use std::{sync::Arc, time::Duration};

use dora_rpc::{
    Address, ConnectError, Identity, ListenError, ListenOn, Refusal, Retryable, Role, RpcConfig, RpcService, Token,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpStream, UnixStream},
};
use tokio_rustls::{TlsConnector, rustls};

use crate::{
    link::{Link, World, config},
    scripted::{Heard, ScriptCall, ScriptGateway},
};

trait Raw: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Raw for T {}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// A stream of bytes to a service, before any greeting.
async fn connect(link: Link, address: &Address) -> Box<dyn Raw> {
    let place = address.to_string();
    match link {
        Link::Unix => Box::new(UnixStream::connect(place).await.unwrap()),
        Link::Tls => {
            let config = rustls::ClientConfig::builder_with_provider(provider())
                .with_protocol_versions(&[&rustls::version::TLS13])
                .unwrap()
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(Gullible))
                .with_no_client_auth();
            let socket = TcpStream::connect(place).await.unwrap();
            let name = "localhost".try_into().unwrap();
            Box::new(TlsConnector::from(Arc::new(config)).connect(name, socket).await.unwrap())
        }
        _ => Box::new(TcpStream::connect(place).await.unwrap()),
    }
}

/// Writes all of it, at once.
async fn say(stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) {
    stream.write_all(bytes).await.unwrap();
    stream.flush().await.unwrap();
}

/// Completes when the other side has closed the stream.
async fn is_closed(mut stream: impl AsyncRead + Unpin) {
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
}

async fn still_serves(world: &World) {
    assert!(world.gateway.add(1).await.is_ok());
    assert!(world.connect::<ScriptCall>("script").await.add(1).await.is_ok());
}

/// Takes no large messages.
fn careful() -> RpcConfig {
    RpcConfig { message_limit: 100_000, ..config(Role::Coordinator) }
}

/// What stands at the end of one kind of port.
struct Port {
    link: Link,
    token: Token,
    world: World,
}

impl Port {
    async fn raw(&self) -> Box<dyn Raw> {
        connect(self.link, &self.world.address).await
    }

    /// The bytes under TLS, or the same as [`Self::raw`].
    async fn bare(&self) -> Box<dyn Raw> {
        connect(if self.link == Link::Tls { Link::Tcp } else { self.link }, &self.world.address).await
    }

    /// A stream on which greetings have been exchanged.
    async fn greeted(&self) -> Box<dyn Raw> {
        let mut stream = self.raw().await;
        let mut fields = vec![1, 0, 1];
        for text in ["me", "1", self.token.reveal()] {
            fields.extend_from_slice(&(text.len() as u16).to_le_bytes());
            fields.extend_from_slice(text.as_bytes());
        }
        let mut hello = b"DORA\x01".to_vec();
        hello.extend_from_slice(&(fields.len() as u16).to_le_bytes());
        hello.extend_from_slice(&fields);
        say(&mut stream, &hello).await;
        let mut welcome = [0; 7];
        stream.read_exact(&mut welcome).await.unwrap();
        assert_eq!(&welcome[..5], b"DORA\x02");
        let mut rest = vec![0; usize::from(u16::from_le_bytes([welcome[5], welcome[6]]))];
        stream.read_exact(&mut rest).await.unwrap();
        stream
    }
}

/// Does something to each kind of port, which serves others afterwards.
async fn at_each_port(test: impl AsyncFn(&Port)) {
    at_each_port_of(careful(), test).await;
}

async fn at_each_port_of(config: RpcConfig, test: impl AsyncFn(&Port)) {
    for link in Link::PORTS {
        let token = Token::generate().unwrap();
        let world = World::with_token(link, config.clone(), token.clone()).await;
        let port = Port { link, token, world };
        test(&port).await;
        still_serves(&port.world).await;
    }
}

#[tokio::test]
async fn garbage_instead_of_a_greeting() {
    at_each_port(async |port| {
        let rubbish: [&[u8]; 6] = [
            b"GET / HTTP/1.1\r\nHost: here\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            &[0; 5000],
            &[0xff; 5000],
            b"DORA\x01\xff\xff",
            b"DORA\x02\x02\x00\x01\x00",
        ];
        for bytes in rubbish {
            let mut stream = port.bare().await;
            // It may be closed while we still write.
            let _ = stream.write_all(bytes).await;
            let _ = stream.shutdown().await;
            is_closed(stream).await;
        }
    })
    .await;
}

#[tokio::test]
async fn garbage_after_the_greetings() {
    at_each_port(async |port| {
        let call = frame(1, 5, b"\0\0\0\0\0\0\0\0\x04open\xc1");
        let rubbish = [
            vec![0xff; 64],
            vec![1, 0, 0, 0, 1],
            frame(99, 5, b""),
            frame(1, 5, b"\0"),
            frame(6, 5, b"\0"),
            [call, frame(1, 6, b"\0\0\0\0\0\0\0\0\x09\xff\xff")].concat(),
        ];
        for bytes in rubbish {
            let mut stream = port.greeted().await;
            say(&mut stream, &bytes).await;
            is_closed(stream).await;
        }
    })
    .await;
}

/// Frames that are well-formed and mean nothing are answered or ignored.
#[tokio::test]
async fn frames_without_meaning_are_survived() {
    at_each_port(async |port| {
        let mut stream = port.greeted().await;
        let mut bytes = Vec::new();
        for kind in 2..=8_u8 {
            bytes.extend(frame(kind, 77, if kind == 6 { &[1, 0, 0, 0] } else { b"" }));
        }
        // Then a call of an endpoint that was never opened, which is answered.
        bytes.extend(frame(1, 78, b"\xff\0\0\0\0\0\0\0\x01x"));
        say(&mut stream, &bytes).await;
        let mut answer = [0; 13];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!((answer[4], u64::from_le_bytes(answer[5..].try_into().unwrap())), (4, 78));
    })
    .await;
}

fn frame(kind: u8, number: u64, rest: &[u8]) -> Vec<u8> {
    let mut bytes = (9 + rest.len() as u32).to_le_bytes().to_vec();
    bytes.push(kind);
    bytes.extend_from_slice(&number.to_le_bytes());
    bytes.extend_from_slice(rest);
    bytes
}

#[tokio::test]
async fn an_oversized_message() {
    at_each_port(async |port| {
        // Announced, and never sent: nothing is kept for it.
        let mut announced = port.greeted().await;
        say(&mut announced, &[0xff, 0xff, 0xff, 0xff]).await;
        is_closed(announced).await;
        // Within the greeting.
        let mut greeting = port.raw().await;
        say(&mut greeting, b"DORA\x01\xff\xff").await;
        is_closed(greeting).await;
    })
    .await;
}

/// Asks without end and reads no answer: what waits for it is bounded, then it is cut off.
#[tokio::test]
async fn who_asks_and_does_not_read_is_cut_off() {
    at_each_port(async |port| {
        let mut stream = port.greeted().await;
        let open = b"\0\0\0\0\0\0\0\0\x04open\x83\xa4name\xa6script\xa7gateway\xadScriptGateway\xa5token\xc0";
        say(&mut stream, &frame(1, 1, open)).await;
        let mut opened = [0; 14];
        stream.read_exact(&mut opened).await.unwrap();
        assert_eq!(opened[4], 3, "it was opened");
        let mut calls = 1;
        let cut_off = async {
            loop {
                calls += 1;
                let produce = [&[opened[13], 0, 0, 0, 0, 0, 0, 0], b"\x07produce\x81\xa4size\xcd\xc3\x50".as_slice()];
                stream.write_all(&frame(1, calls, &produce.concat())).await?;
                stream.flush().await?;
            }
        };
        let error: std::io::Result<()> = cut_off.await;
        assert!(error.is_err() && calls > 20);
    })
    .await;
}

#[tokio::test]
async fn half_open_connections_are_closed() {
    // Time enough for those who mean well.
    let impatient = RpcConfig { handshake_timeout: Duration::from_secs(1), ..config(Role::Coordinator) };
    at_each_port_of(impatient, async |port| {
        let silent = port.bare().await;
        let mut begun = port.bare().await;
        begun.write_all(b"DO").await.unwrap();
        is_closed(silent).await;
        is_closed(begun).await;
    })
    .await;
}

#[tokio::test]
async fn a_flood_of_connections_does_not_keep_others_out() {
    at_each_port(async |port| {
        let mut flood = Vec::new();
        for _ in 0..300 {
            flood.push(port.bare().await);
        }
        still_serves(&port.world).await;
        // The oldest had to go, although the time for greetings is far from over.
        is_closed(flood.swap_remove(0)).await;
    })
    .await;
}

#[tokio::test]
async fn a_connection_too_many_is_told_so() {
    for link in Link::PORTS {
        let world = World::with(link, RpcConfig { max_connections: 2, ..config(Role::Coordinator) }).await;
        let _second = world.connect::<ScriptCall>("script").await;
        let full = world.client.connect::<ScriptCall>(&world.address, "script").await.unwrap_err();
        assert!(matches!(full, ConnectError::Refused { refusal: Refusal::Full, .. }), "{full}");
        assert!(full.retryable());
        assert_eq!(world.gateway.add(1).await, Ok(1));
    }
}

/// The process of a client dies in the middle of a call: its sockets are closed, nothing is said.
#[test]
fn a_client_that_dies_cancels_what_it_had_asked_for() {
    let runtime = || tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    for link in Link::PORTS {
        let (here, there) = (runtime(), runtime());
        let mut world = here.block_on(World::new(link));
        let (address, mut heard) = (world.address.clone(), std::mem::replace(&mut world.heard, closed()));
        let client = RpcService::new(config(Role::Client));
        there.spawn(async move {
            let gateway = client.connect::<ScriptCall>(&address, "script").await.unwrap();
            let _unread = gateway.follow(10).await.unwrap();
            gateway.work().await
        });
        assert_eq!(here.block_on(heard.recv()), Some(Heard::Working));
        there.shutdown_background();
        assert_eq!(here.block_on(heard.recv()), Some(Heard::Cancelled));
        here.block_on(async {
            // Its stream was abandoned with it.
            world.gateway.push(1).await.unwrap();
            assert_eq!(heard.recv().await, Some(Heard::WriterSaw(dora_rpc::ReaderGone)));
            still_serves(&world).await;
        });
    }
}

fn closed() -> tokio::sync::mpsc::UnboundedReceiver<Heard> {
    tokio::sync::mpsc::unbounded_channel().1
}

#[tokio::test]
async fn who_shows_no_token_or_a_wrong_one_is_refused() {
    for link in [Link::Tcp, Link::Tls] {
        let token = Token::generate().unwrap();
        let world = World::with_token(link, careful(), token.clone()).await;
        let wrong = world.address.clone().with_token(Token::generate().unwrap());
        let refused = world.client.connect::<ScriptCall>(&wrong, "script").await.unwrap_err();
        assert!(refused.to_string().ends_with("refuses the connection: the token is wrong"), "{refused}");
        assert!(!refused.retryable());
        let none = world.address.clone().with_token(String::new().into());
        let refused = world.client.connect::<ScriptCall>(&none, "script").await.unwrap_err();
        assert!(refused.to_string().ends_with("refuses the connection: a token is needed"), "{refused}");
    }
}

#[tokio::test]
async fn another_certificate_than_the_pinned_one_is_refused() {
    let token = Token::generate().unwrap();
    let world = World::with_token(Link::Tls, careful(), token.clone()).await;
    let port = world.address.to_string().rsplit(':').next().unwrap().parse().unwrap();
    let other = Identity::generate(["localhost".to_owned()]).unwrap().fingerprint();
    let impostor = Address::tls("127.0.0.1", port, other).with_token(token);
    let refused = world.client.connect::<ScriptCall>(&impostor, "script").await.unwrap_err();
    assert!(matches!(refused, ConnectError::Untrusted { .. }), "{refused}");
    assert!(refused.to_string().ends_with(&format!("known is {other}")), "{refused}");
    still_serves(&world).await;
}

#[tokio::test]
async fn nobody_listens_to_other_machines_by_accident() {
    let service = RpcService::new(config(Role::Coordinator));
    let address = "0.0.0.0:0".parse().unwrap();
    let plain = service.listen(ListenOn::Tcp { address, insecure: false }).await.unwrap_err();
    assert!(matches!(plain, ListenError::Insecure(_)), "{plain}");
    let identity = Identity::generate(["localhost".to_owned()]).unwrap();
    let open = service.listen(ListenOn::Tls { address, identity }).await.unwrap_err();
    assert!(matches!(open, ListenError::NoToken(_)), "{open}");
    assert!(service.listen(ListenOn::Tcp { address, insecure: true }).await.is_ok());
}

#[tokio::test]
async fn a_place_in_use_is_said_and_a_dead_socket_is_replaced() {
    let world = World::new(Link::Unix).await;
    let path = world.directory.path().join("socket");
    let service = RpcService::new(config(Role::Coordinator));
    let taken = service.listen(ListenOn::Unix(path.clone())).await.unwrap_err();
    assert_eq!(taken.to_string(), format!("{} is in use by another process", path.display()));
    still_serves(&world).await;

    let dead = world.directory.path().join("dead");
    drop(std::os::unix::net::UnixListener::bind(&dead).unwrap());
    assert!(dead.exists());
    service.listen(ListenOn::Unix(dead.clone())).await.unwrap();
    service.stop().await;
    assert!(!dead.exists(), "the socket is removed at the end");

    let file = world.directory.path().join("file");
    std::fs::write(&file, "precious").unwrap();
    let service = RpcService::new(config(Role::Coordinator));
    assert!(service.listen(ListenOn::Unix(file.clone())).await.is_err());
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "precious");

    let port = "127.0.0.1:0".parse().unwrap();
    let bound = service.listen(ListenOn::Tcp { address: port, insecure: false }).await.unwrap().to_string();
    let again = service.listen(ListenOn::Tcp { address: bound.parse().unwrap(), insecure: false }).await.unwrap_err();
    assert_eq!(again.to_string(), format!("{bound} is in use by another process"));
}

#[tokio::test]
async fn who_is_not_there_is_said_with_the_address() {
    let client = RpcService::new(config(Role::Client));
    let nobody = Address::unix("/nonexistent/socket");
    let refused = client.connect::<ScriptCall>(&nobody, "script").await.unwrap_err();
    assert!(refused.to_string().starts_with("cannot reach /nonexistent/socket: No such file"), "{refused}");
    // Somebody listens and says nothing.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let first = tokio::spawn(async move { (silent.accept().await.unwrap(), silent) });
    let mut impatient = config(Role::Client);
    impatient.handshake_timeout = Duration::from_millis(200);
    let refused =
        RpcService::new(impatient).connect::<ScriptCall>(&Address::tcp("localhost", port), "script").await.unwrap_err();
    assert_eq!(refused.to_string(), format!("cannot reach localhost:{port}: no answer within 200ms"));
    // Somebody speaks another language.
    let (_first, silent) = first.await.unwrap();
    let http = tokio::spawn(async move {
        let (mut stream, _) = silent.accept().await.unwrap();
        let _ = stream.read(&mut [0; 100]).await;
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
    });
    let foreign = client.connect::<ScriptCall>(&Address::tcp("localhost", port), "script").await.unwrap_err();
    assert!(matches!(foreign, ConnectError::Foreign { .. }), "{foreign}");
    assert!(!foreign.retryable());
    http.await.unwrap();
}

/// Believes every certificate.
#[derive(Debug)]
struct Gullible;

impl rustls::client::danger::ServerCertVerifier for Gullible {
    fn verify_server_cert(
        &self,
        _certificate: &rustls::pki_types::CertificateDer<'_>,
        _intermediates: &[rustls::pki_types::CertificateDer<'_>],
        _name: &rustls::pki_types::ServerName<'_>,
        _ocsp: &[u8],
        _now: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &rustls::pki_types::CertificateDer<'_>,
        _signature: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _certificate: &rustls::pki_types::CertificateDer<'_>,
        _signature: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}
