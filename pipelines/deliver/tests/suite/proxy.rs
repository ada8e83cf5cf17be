//! A way to a server that fails on demand: every request goes over a connection of its own, so that each can have its own fate.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What becomes of an insert. Everything else (questions about tables) passes.
#[derive(Clone, Debug)]
pub enum Fate {
    /// It goes through, and so does the answer.
    Pass,
    /// Nobody is there: the connection is closed before anything is read, questions too.
    Down,
    /// The server gets it whole and answers; the answer is lost.
    AnswerLost,
    /// The connection ends in the middle of the request.
    CutInside,
    /// The server gets it after this time.
    Late(Duration),
    /// The server is not asked; this is answered: HTTP status, code, text.
    Answer(u16, u32, &'static str),
}

/// A proxy before one server.
pub struct Proxy {
    pub url: String,
    fate: Arc<Mutex<Fate>>,
    struck: Arc<AtomicU32>,
}

impl Proxy {
    /// Before the server at `url`, `http://host:port`.
    pub fn before(url: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let here = listener.local_addr().unwrap();
        let server = url.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let proxy =
            Self { url: format!("http://{here}"), fate: Arc::new(Mutex::new(Fate::Pass)), struck: Arc::default() };
        let (fate, struck) = (proxy.fate.clone(), proxy.struck.clone());
        std::thread::spawn(move || {
            for client in listener.incoming().filter_map(Result::ok) {
                let (fate, struck, server) = (fate.lock().unwrap().clone(), struck.clone(), server.clone());
                std::thread::spawn(move || serve(client, &server, &fate, &struck));
            }
        });
        proxy
    }

    /// From the next request on.
    pub fn set(&self, fate: Fate) {
        *self.fate.lock().unwrap() = fate;
    }

    /// How many requests met another fate than to pass.
    pub fn struck(&self) -> u32 {
        self.struck.load(Ordering::SeqCst)
    }
}

fn serve(mut client: TcpStream, server: &str, fate: &Fate, struck: &AtomicU32) {
    if matches!(fate, Fate::Down) {
        struck.fetch_add(1, Ordering::SeqCst);
        return;
    }
    let Some(request) = read_request(&mut client) else { return };
    let line = String::from_utf8_lossy(&request[..request.len().min(400)]).into_owned();
    let fate = if line.contains("query=INSERT") { fate.clone() } else { Fate::Pass };
    if !matches!(fate, Fate::Pass) {
        struck.fetch_add(1, Ordering::SeqCst);
    }
    match fate {
        Fate::Answer(status, code, text) => {
            let text = format!("Code: {code}. DB::Exception: {text}\n");
            let head = format!(
                "HTTP/1.1 {status} X\r\nX-ClickHouse-Exception-Code: {code}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                text.len()
            );
            let _ = client.write_all((head + &text).as_bytes());
            return;
        }
        Fate::CutInside => {
            if let Ok(mut upstream) = TcpStream::connect(server) {
                let _ = upstream.write_all(&request[..request.len() * 2 / 3]);
            }
            return;
        }
        Fate::Late(time) => std::thread::sleep(time),
        Fate::Pass | Fate::Down | Fate::AnswerLost => {}
    }
    let Ok(mut upstream) = TcpStream::connect(server) else { return };
    if upstream.write_all(&request).is_err() {
        return;
    }
    let mut answer = Vec::new();
    let _ = upstream.read_to_end(&mut answer);
    if !matches!(fate, Fate::AnswerLost) {
        let _ = client.write_all(&answer);
    }
}

/// One request whole, with `Connection: close` put in, so that the server's answer ends with the connection.
fn read_request(client: &mut TcpStream) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 16 << 10];
    let head_end = loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        let read = client.read(&mut buffer).ok().filter(|read| *read > 0)?;
        bytes.extend_from_slice(&buffer[..read]);
    };
    let head = String::from_utf8_lossy(&bytes[..head_end]).into_owned();
    let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let whole = head_end + length.unwrap_or(0usize);
    while bytes.len() < whole {
        let read = client.read(&mut buffer).ok().filter(|read| *read > 0)?;
        bytes.extend_from_slice(&buffer[..read]);
    }
    let first_line = head.find("\r\n").unwrap() + 2;
    let mut request = bytes[..first_line].to_vec();
    request.extend_from_slice(b"Connection: close\r\n");
    request.extend_from_slice(&bytes[first_line..]);
    Some(request)
}
