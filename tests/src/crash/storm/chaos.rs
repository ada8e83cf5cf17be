//! What happens to the processes and servers, and when: drawn from the seed, done, and noted with its time.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::fleet::{Is, Node};
use crate::binary::Installation;
use crate::crash::seeded::Seeded;
use crate::crash::servers::DevServer;

/// A group member that is silent for longer than this is out; the broker's and the members' setting.
pub const SESSION_TIMEOUT_MS: u64 = 6_000;
/// How long a process that ended by itself is left alone before it is started again.
const SUPERVISOR_WAITS: Duration = Duration::from_secs(1);

/// Who is hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    /// A process, by its number in the fleet.
    Kill(usize),
    /// The same, frozen.
    Freeze(usize),
    Broker,
    Warehouse,
}

const BROKER: &str = "broker";
const WAREHOUSE: &str = "warehouse";
/// Who is killed, or frozen, how often: of sixteen draws so many.
const DRAWS: [(&str, bool, u64); 9] = [
    ("collector", false, 2),
    ("worker-a", false, 3),
    ("worker-b", false, 3),
    ("deliver", false, 3),
    ("worker-a", true, 1),
    ("worker-b", true, 1),
    ("deliver", true, 1),
    (BROKER, false, 1),
    (WAREHOUSE, false, 1),
];

/// What was done to the fleet.
#[derive(Debug, Default)]
pub struct Done {
    /// Kills of processes.
    pub kills: u32,
    /// SIGSTOPs beyond the session timeout.
    pub freezes: u32,
    /// Kills of the broker.
    pub broker: u32,
    /// Kills of the warehouse.
    pub warehouse: u32,
    /// Processes that ended by themselves and were started again.
    pub ended: u32,
}

impl Done {
    /// Everything that was done on purpose.
    pub fn all(&self) -> u32 {
        self.kills + self.freezes + self.broker + self.warehouse
    }
}

/// A storm over a fleet.
pub struct Chaos<'a> {
    installation: &'a Installation,
    fleet: &'a mut [Node],
    broker: Server,
    warehouse: Server,
    chance: Seeded,
    started: Instant,
    due: Vec<(Instant, usize)>,
    /// What was done.
    pub done: Done,
}

/// A server that is being started again, on a thread of its own: that takes seconds.
struct Server {
    server: Arc<DevServer>,
    coming_back: Option<JoinHandle<()>>,
}

impl Server {
    fn is_up(&self) -> bool {
        self.coming_back.as_ref().is_none_or(JoinHandle::is_finished)
    }

    fn kill(&mut self, away: Duration) {
        self.wait();
        self.server.kill();
        let server = Arc::clone(&self.server);
        self.coming_back = Some(std::thread::spawn(move || {
            std::thread::sleep(away);
            server.start_again();
        }));
    }

    fn wait(&mut self) {
        if let Some(thread) = self.coming_back.take() {
            thread.join().expect("the server came back");
        }
    }
}

impl<'a> Chaos<'a> {
    /// A storm by this seed.
    pub fn new(
        installation: &'a Installation,
        fleet: &'a mut [Node],
        broker: Arc<DevServer>,
        warehouse: Arc<DevServer>,
        seed: u64,
    ) -> Self {
        let server = |server| Server { server, coming_back: None };
        Self {
            installation,
            fleet,
            broker: server(broker),
            warehouse: server(warehouse),
            // A seed of 0 would give nothing but 0.
            chance: Seeded(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1),
            started: Instant::now(),
            due: Vec::new(),
            done: Done::default(),
        }
    }

    fn note(&self, what: &str) {
        eprintln!("[{:8.3} s] {what}", self.started.elapsed().as_secs_f64());
    }

    /// Lets `hits` things happen, and whatever follows from them.
    pub fn rage(&mut self, hits: u32) {
        while self.done.all() < hits {
            let pause = Duration::from_millis(self.chance.between(500, 5_000));
            self.watch(pause);
            let target = self.draw();
            self.hit(target);
        }
    }

    /// Watches over the fleet for a while.
    pub fn watch(&mut self, time: Duration) {
        let until = Instant::now() + time;
        loop {
            self.supervise();
            let now = Instant::now();
            if now >= until {
                return;
            }
            std::thread::sleep(Duration::from_millis(20).min(until - now));
        }
    }

    /// Everything that is down comes back, and what is frozen goes on.
    pub fn calm(&mut self) {
        while !(self.due.is_empty() && self.broker.is_up() && self.warehouse.is_up()) {
            self.watch(Duration::from_millis(100));
        }
        self.broker.wait();
        self.warehouse.wait();
    }

    /// Draws until it is somebody who is up.
    fn draw(&mut self) -> Target {
        loop {
            let mut at = self.chance.between(0, DRAWS.iter().map(|(_, _, weight)| weight).sum());
            let drawn = DRAWS.iter().find(|(_, _, weight)| {
                let is_it = at < *weight;
                at = at.saturating_sub(*weight);
                is_it
            });
            let target = drawn.and_then(|(name, freeze, _)| match *name {
                BROKER => self.broker.is_up().then_some(Target::Broker),
                WAREHOUSE => self.warehouse.is_up().then_some(Target::Warehouse),
                name => {
                    let at = self.fleet.iter().position(|node| node.name == name && node.is == Is::Up)?;
                    Some(if *freeze { Target::Freeze(at) } else { Target::Kill(at) })
                }
            });
            if let Some(target) = target {
                return target;
            }
            self.watch(Duration::from_millis(50));
        }
    }

    /// How long somebody stays away: mostly shortly, sometimes for longer than a session.
    fn away(&mut self) -> Duration {
        let ms = match self.chance.between(0, 10) {
            0..7 => self.chance.between(0, 1_500),
            7..9 => self.chance.between(2_000, 5_000),
            _ => self.chance.between(SESSION_TIMEOUT_MS + 1_000, SESSION_TIMEOUT_MS + 4_000),
        };
        Duration::from_millis(ms)
    }

    fn hit(&mut self, target: Target) {
        let number = self.done.all() + 1;
        match target {
            Target::Kill(at) => {
                let away = self.away();
                self.fleet[at].kill();
                self.note(&format!("{number}: SIGKILL {}, back in {} ms", self.fleet[at].name, away.as_millis()));
                self.due.push((Instant::now() + away, at));
                self.done.kills += 1;
            }
            Target::Freeze(at) => {
                let time =
                    Duration::from_millis(self.chance.between(SESSION_TIMEOUT_MS + 2_000, SESSION_TIMEOUT_MS + 6_000));
                self.fleet[at].hold(true);
                self.note(&format!("{number}: SIGSTOP {}, SIGCONT in {} ms", self.fleet[at].name, time.as_millis()));
                self.due.push((Instant::now() + time, at));
                self.done.freezes += 1;
            }
            Target::Broker => {
                let away = Duration::from_millis(self.chance.between(0, 3_000));
                self.note(&format!("{number}: SIGKILL broker, start in {} ms", away.as_millis()));
                self.broker.kill(away);
                self.done.broker += 1;
            }
            Target::Warehouse => {
                let away = Duration::from_millis(self.chance.between(0, 5_000));
                self.note(&format!("{number}: SIGKILL warehouse, start in {} ms", away.as_millis()));
                self.warehouse.kill(away);
                self.done.warehouse += 1;
            }
        }
    }

    /// Notes who ended, and brings back who is due.
    fn supervise(&mut self) {
        let now = Instant::now();
        for at in 0..self.fleet.len() {
            if let Some(why) = self.fleet[at].ended() {
                self.note(&format!("   {} ended by itself, {why}", self.fleet[at].name));
                self.done.ended += 1;
                self.due.retain(|(_, due)| *due != at);
                self.due.push((now + SUPERVISOR_WAITS, at));
            }
        }
        let (now_due, later): (Vec<_>, Vec<_>) = self.due.drain(..).partition(|(due, _)| *due <= now);
        self.due = later;
        for (_, at) in now_due {
            if self.fleet[at].is == Is::Stopped {
                self.fleet[at].hold(false);
                self.note(&format!("   {} goes on", self.fleet[at].name));
            } else {
                self.fleet[at].start(self.installation);
                self.note(&format!("   {} started", self.fleet[at].name));
            }
        }
    }
}

impl Drop for Chaos<'_> {
    fn drop(&mut self) {
        for server in [&mut self.broker, &mut self.warehouse] {
            if let Some(thread) = server.coming_back.take() {
                let _came_back = thread.join();
            }
        }
    }
}
