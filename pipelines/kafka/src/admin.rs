//! Administrative requests, as plain blocking calls.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

use millstream_transports::Result;
use rdkafka::admin::{AdminClient, AdminOptions};

use crate::config::KafkaConfig;
use crate::errors::describe;
use crate::events::Quiet;
use crate::topics::REQUEST;

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for a future on this thread. The administrative client completes its futures from a thread of its own.
pub(crate) fn wait<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}

pub(crate) fn client(config: &KafkaConfig) -> Result<AdminClient<Quiet>> {
    config
        .base()?
        .create_with_context(Quiet::default())
        .map_err(|error| describe("starting an administrative client", &error, None))
}

pub(crate) fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(REQUEST)).operation_timeout(Some(REQUEST))
}
