//! A proxy whose connections can be cut or delayed in either direction.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Listens before a server; connections made during a delay are delayed as well.
pub struct Proxy {
    pub url: String,
    wires: Arc<Mutex<Vec<Arc<Wire>>>>,
}

/// One connection.
pub struct Wire {
    client: TcpStream,
    server: TcpStream,
    /// Delays the client's data.
    pub hold_up: AtomicBool,
    /// Delays the server's data.
    pub hold_down: AtomicBool,
    held_up: Mutex<Vec<u8>>,
    /// The client's start-up packet, which has its application name.
    said: Mutex<String>,
}

impl Proxy {
    pub fn before(url: &str) -> Self {
        let rest = url.rsplit_once('@').expect("postgres://user@host:port/database").1;
        let server = rest.split('/').next().expect("a host").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let here = listener.local_addr().expect("an address").to_string();
        let wires: Arc<Mutex<Vec<Arc<Wire>>>> = Arc::default();
        let all = wires.clone();
        // In plain text: connections are identified by their start-up packet.
        let url = format!("{}?sslmode=disable", url.replace(&server, &here));
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(&server) else { continue };
                all.lock().expect("whole").push(Wire::between(client, server));
            }
        });
        Self { url, wires }
    }

    /// The last connection that was made for a purpose.
    pub fn last(&self, purpose: &str) -> Arc<Wire> {
        let wires = self.wires.lock().expect("whole");
        let of = |wire: &&Arc<Wire>| wire.said.lock().expect("whole").contains(purpose);
        wires.iter().rev().find(of).expect("there is one").clone()
    }
}

impl Wire {
    fn between(client: TcpStream, server: TcpStream) -> Arc<Self> {
        for stream in [&client, &server] {
            stream.set_nodelay(true).expect("no delay");
        }
        let wire = Arc::new(Self {
            client,
            server,
            hold_up: AtomicBool::new(false),
            hold_down: AtomicBool::new(false),
            held_up: Mutex::default(),
            said: Mutex::default(),
        });
        let (up, down) = (wire.clone(), wire.clone());
        std::thread::spawn(move || up.carry_up());
        std::thread::spawn(move || down.carry_down());
        wire
    }

    fn carry_up(&self) {
        let mut bytes = [0; 16_384];
        while let Ok(some @ 1..) = (&self.client).read(&mut bytes) {
            let mut said = self.said.lock().expect("whole");
            if said.is_empty() {
                *said = String::from_utf8_lossy(&bytes[..some]).into_owned();
            }
            drop(said);
            if self.hold_up.load(Ordering::SeqCst) {
                self.held_up.lock().expect("whole").extend_from_slice(&bytes[..some]);
            } else if (&self.server).write_all(&bytes[..some]).is_err() {
                break;
            }
        }
    }

    fn carry_down(&self) {
        let mut bytes = [0; 16_384];
        while let Ok(some @ 1..) = (&self.server).read(&mut bytes) {
            if !self.hold_down.load(Ordering::SeqCst) && (&self.client).write_all(&bytes[..some]).is_err() {
                break;
            }
        }
    }

    /// Cuts the client's side; the server does not notice.
    pub fn cut(&self) {
        let _ = self.client.shutdown(Shutdown::Both);
    }

    /// How many bytes of the client are delayed.
    pub fn held(&self) -> usize {
        self.held_up.lock().expect("whole").len()
    }

    /// Forwards the client's delayed data.
    pub fn arrive_late(&self) {
        let held = std::mem::take(&mut *self.held_up.lock().expect("whole"));
        (&self.server).write_all(&held).expect("the server still listens");
        std::thread::sleep(Duration::from_millis(300));
    }
}
