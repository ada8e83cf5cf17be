//! A proxy before the broker that can stand still, and lose the request that ends a transaction, or its answer.
//!
//! Kafka's frames are a length and a body; a request's body begins with the API key and, four bytes on, the correlation id, which
//! begins the answer. The broker names its own address in answers; the port in it is replaced by the proxy's.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};

const INIT_PRODUCER_ID: i16 = 22;
const END_TXN: i16 = 26;

/// What is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Swallow {
    /// The request never arrives.
    Request,
    /// The request is executed; nobody hears of it.
    Answer,
}

#[derive(Default)]
struct State {
    swallow: Mutex<Option<Swallow>>,
    stopped: AtomicBool,
    frozen: Mutex<bool>,
    thawed: Condvar,
}

impl State {
    fn wait_while_frozen(&self) {
        let mut frozen = self.frozen.lock().expect("not poisoned");
        while *frozen {
            frozen = self.thawed.wait(frozen).expect("not poisoned");
        }
    }
}

pub struct Proxy {
    port: u16,
    state: Arc<State>,
}

impl Proxy {
    /// Listens on a free port of this machine for one broker at `127.0.0.1:port`.
    pub fn start(broker: &str) -> Self {
        let broker = broker.to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                if shared.stopped.load(Ordering::Acquire) {
                    return;
                }
                let (Ok(client), Ok(server)) = (client, TcpStream::connect(&broker)) else { continue };
                pump(client, server, &broker, port, &shared);
            }
        });
        Self { port, state }
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Nothing passes, in either direction, until thawed: for the broker, the client's process stands still.
    pub fn freeze(&self, frozen: bool) {
        *self.state.frozen.lock().expect("not poisoned") = frozen;
        self.state.thawed.notify_all();
    }

    /// From the next end of a transaction on until a producer initialises.
    pub fn swallow_next_commit(&self, what: Swallow) {
        *self.state.swallow.lock().expect("not poisoned") = Some(what);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.state.stopped.store(true, Ordering::Release);
        // Wakes the listener.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn frame(from: &mut TcpStream) -> Option<Vec<u8>> {
    let mut length = [0; 4];
    from.read_exact(&mut length).ok()?;
    let mut body = vec![0; usize::try_from(i32::from_be_bytes(length)).ok()?];
    from.read_exact(&mut body).ok()?;
    Some(body)
}

fn send(to: &mut TcpStream, body: &[u8]) -> bool {
    let length = i32::try_from(body.len()).expect("a frame").to_be_bytes();
    to.write_all(&[&length, body].concat()).is_ok()
}

fn pump(client: TcpStream, server: TcpStream, broker: &str, port: u16, state: &Arc<State>) {
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let lost: Arc<Mutex<HashMap<[u8; 4], ()>>> = Arc::default();
    let close = |one: &TcpStream, two: &TcpStream| {
        let _ = (one.shutdown(Shutdown::Both), two.shutdown(Shutdown::Both));
    };
    let (mut from, mut to) = (client.try_clone().expect("a handle"), server.try_clone().expect("a handle"));
    let (shared, losing) = (Arc::clone(state), Arc::clone(&lost));
    std::thread::spawn(move || {
        while let Some(request) = frame(&mut from) {
            let key = i16::from_be_bytes([request[0], request[1]]);
            let correlation = [request[4], request[5], request[6], request[7]];
            let mut swallow = shared.swallow.lock().expect("not poisoned");
            if key == INIT_PRODUCER_ID {
                *swallow = None;
            }
            match (key, *swallow) {
                (END_TXN, Some(Swallow::Request)) => break,
                (END_TXN, Some(Swallow::Answer)) => {
                    losing.lock().expect("not poisoned").insert(correlation, ());
                }
                _ => {}
            }
            drop(swallow);
            shared.wait_while_frozen();
            if !send(&mut to, &request) {
                break;
            }
        }
        close(&from, &to);
    });
    let (mut from, mut to) = (server, client);
    let (host, real) = broker.rsplit_once(':').expect("host:port");
    let named = |port: u16| [host.as_bytes(), &i32::from(port).to_be_bytes()].concat();
    let (theirs, ours) = (named(real.parse().expect("a port")), named(port));
    let state = Arc::clone(state);
    std::thread::spawn(move || {
        while let Some(mut answer) = frame(&mut from) {
            state.wait_while_frozen();
            if lost.lock().expect("not poisoned").contains_key(&answer[..4]) {
                break;
            }
            let mut at = 0;
            while let Some(found) = answer[at..].windows(theirs.len()).position(|window| window == theirs) {
                answer[at + found..at + found + ours.len()].copy_from_slice(&ours);
                at += found + ours.len();
            }
            if !send(&mut to, &answer) {
                break;
            }
        }
        close(&from, &to);
    });
}
