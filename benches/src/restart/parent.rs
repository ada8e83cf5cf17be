//! Starts the process, kills it, starts it again, and looks at the clock.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::Options;

/// How long a process may take to come up with everybody introduced.
const PATIENCE: Duration = Duration::from_secs(900);

/// The killed process, as its parent sees it.
struct Process {
    child: Child,
    input: ChildStdin,
    said: Receiver<Value>,
    started: Instant,
}

impl Process {
    fn start(options: &Options, folder: &Path) -> Self {
        let binary = std::env::current_exe().expect("this program has a path");
        let mut command = Command::new(binary);
        command.arg("--child").arg("--folder").arg(folder);
        for (name, value) in [
            ("--people", options.people),
            ("--rate", options.rate),
            ("--interval-ms", options.interval_ms),
            ("--partitions", u64::from(options.partitions)),
            ("--workers", options.workers as u64),
        ] {
            command.arg(name).arg(value.to_string());
        }
        if options.standby {
            command.arg("--standby");
        }
        let started = Instant::now();
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the program can start itself");
        let input = child.stdin.take().expect("it was piped");
        let output = child.stdout.take().expect("it was piped");
        let (tell, said) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if let Ok(value) = serde_json::from_str(&line)
                    && tell.send(value).is_err()
                {
                    return;
                }
            }
        });
        Self { child, input, said, started }
    }

    fn ask(&mut self, what: &str) -> Value {
        writeln!(self.input, "{what}").expect("the process reads");
        self.hear()
    }

    fn hear(&mut self) -> Value {
        self.said.recv_timeout(PATIENCE).expect("the process answers in time")
    }

    /// SIGKILL: nothing of it runs any more.
    fn kill(mut self) {
        self.child.kill().expect("the process was there");
        self.child.wait().expect("the process was there");
    }
}

/// One round's figures.
struct Round {
    seconds: f64,
    caught_up: Value,
    before: Value,
}

pub fn run(options: &Options) {
    let temporary = tempfile::tempdir().expect("there is a temporary folder");
    let folder = options.folder.clone().unwrap_or_else(|| temporary.path().to_owned());
    std::fs::create_dir_all(&folder).expect("the folder can be made");
    eprintln!(
        "introducing {} people, {} events/s, a snapshot every {} ms",
        options.people, options.rate, options.interval_ms
    );
    let mut process = Process::start(options, &folder);
    process.hear();
    eprintln!("everybody is in state after {:.0} s", process.started.elapsed().as_secs_f64());
    let mut rounds = Vec::new();
    for number in 0..options.kills {
        // Long enough for a snapshot of every task; then at another moment between two snapshots each time.
        let moment = u64::from(number * 7 % 10) * options.interval_ms / 10;
        std::thread::sleep(Duration::from_millis(options.interval_ms * 3 + moment));
        let before = process.ask("status");
        let (seconds, caught_up) = if options.standby {
            let said = process.ask("take over");
            process.kill();
            process = Process::start(options, &folder);
            process.hear();
            (said["seconds"].as_f64().unwrap_or(f64::NAN), said)
        } else {
            process.kill();
            process = Process::start(options, &folder);
            let caught_up = process.hear();
            (process.started.elapsed().as_secs_f64(), caught_up)
        };
        eprintln!(
            "{} {}: {seconds:.2} s (log open after {:.2}, state restored after {:.2}), {} records replayed",
            if options.standby { "take-over" } else { "kill" },
            number + 1,
            caught_up["opened_after_seconds"],
            caught_up["restored_after_seconds"],
            caught_up["replayed"]
        );
        rounds.push(Round { seconds, caught_up, before });
    }
    process.kill();
    tell(options, &rounds);
}

fn tell(options: &Options, rounds: &[Round]) {
    let seconds: Vec<f64> = rounds.iter().map(|round| round.seconds).collect();
    let most = |of: &dyn Fn(&Round) -> &Value| rounds.iter().filter_map(|round| of(round).as_u64()).max().unwrap_or(0);
    let result = json!({
        "people": options.people,
        "events_per_second": options.rate,
        "snapshot_interval_ms": options.interval_ms,
        "partitions": options.partitions,
        "worker_threads_a_stage": options.workers,
        "cores": std::thread::available_parallelism().map_or(0, usize::from),
        "way": if options.standby { "warm standby in the same process" } else { "kill -9, a new process" },
        "seconds_until_caught_up": seconds,
        "records_replayed_at_most": most(&|round| &round.caught_up["replayed"]),
        "keys_in_state": most(&|round| &round.before["keys"]),
        "snapshot_pauses": most(&|round| &round.before["snapshot_pauses"]),
        "snapshot_pause_p50_us_at_most": most(&|round| &round.before["snapshot_pause_p50_us"]),
        "snapshot_pause_p99_us_at_most": most(&|round| &round.before["snapshot_pause_p99_us"]),
        "snapshot_pause_max_us": most(&|round| &round.before["snapshot_pause_max_us"]),
        "snapshots_failed": most(&|round| &round.before["snapshots_failed"]),
        "resident_bytes_before": most(&|round| &round.before["resident_bytes"]),
    });
    if options.json {
        println!("{result}");
        return;
    }
    for (name, value) in result.as_object().into_iter().flatten() {
        println!("  {name:<28} {value}");
    }
}
