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
