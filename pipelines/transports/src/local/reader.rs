//! One partition read outside any group.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::log::Log;
use super::partition::Partition;
use super::store::Store;
use crate::{Batch, Reader, Result};

pub(crate) struct LocalReader<S: Store> {
    log: Log<S>,
    partition: Arc<Partition>,
    next: u64,
}

impl<S: Store> LocalReader<S> {
    pub(crate) fn new(log: Log<S>, topic: &str, partition: u32, offset: u64) -> Result<Self> {
        log.check_alive()?;
        let partition = log.partition(topic, partition)?;
        Ok(Self { log, partition, next: offset })
    }
}

impl<S: Store> Reader for LocalReader<S> {
    fn poll(&mut self, max_wait: Duration, batch: &mut Batch) -> Result<()> {
        batch.clear();
        let deadline = Instant::now() + max_wait;
        loop {
            let seen = self.log.wake.version();
            self.log.check_alive()?;
            self.log.expire();
            self.log.fill(&self.partition, &mut self.next, 0, batch)?;
            if !batch.is_empty() || !self.log.wake.wait(seen, deadline) {
                return Ok(());
            }
        }
    }

    fn at_end(&mut self) -> Result<bool> {
        self.log.check_alive()?;
        Ok(self.partition.at_end(self.next))
    }
}
