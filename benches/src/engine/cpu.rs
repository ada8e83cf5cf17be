//! CPU time of this thread, from the kernel's own account.

/// Nanoseconds this thread has been on a CPU.
pub fn thread_ns() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("the kernel accounts CPU time per thread");
    text.split_whitespace().next().and_then(|first| first.parse().ok()).expect("schedstat begins with a number")
}

/// Runs `work` and returns the CPU nanoseconds it took.
pub fn of<T>(work: impl FnOnce() -> T) -> (T, u64) {
    let before = thread_ns();
    let result = work();
    (result, thread_ns() - before)
}

/// Minor page faults of this thread so far.
pub fn page_faults() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/stat").expect("the kernel accounts page faults per thread");
    // The name in parentheses may hold spaces; minflt is the 8th field after it.
    let field = text.rsplit(')').next().and_then(|fields| fields.split_whitespace().nth(7));
    field.and_then(|field| field.parse().ok()).expect("stat has this field")
}

/// Nanoseconds all threads of this process have been on a CPU, living and ended ones.
#[cfg(feature = "kafka")]
pub fn process_ns() -> u64 {
    let text = std::fs::read_to_string("/proc/self/stat").expect("the kernel accounts CPU time per process");
    // The name in parentheses may hold spaces; utime and stime are the 12th and 13th fields after it, in ticks of 10 ms.
    let fields: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks =
        |index: usize| fields.get(index).and_then(|field| field.parse::<u64>().ok()).expect("stat has these fields");
    (ticks(11) + ticks(12)) * 10_000_000
}
