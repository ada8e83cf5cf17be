//! The store itself: blocking calls over a runtime of its own.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use millstream_runtime::snapshot::{SnapshotStore, StoreError};
use object_store::aws::{AmazonS3, AmazonS3Builder, S3ConditionalPut};
use object_store::list::{PaginatedListOptions, PaginatedListStore};
use object_store::path::Path;
use object_store::{
    BackoffConfig, ClientOptions, GetOptions, GetRange, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload,
    RetryConfig,
};
use tokio::runtime::Runtime;

use crate::error::told;
use crate::settings::{ObjectSettings, SettingsError};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// Pages of a listing, 1,000 names each; a task has hundreds of objects, not millions.
const PAGES: usize = 1_000;

/// Objects of a bucket.
///
/// Calls block and may be made from any thread; a runtime of one thread does the waiting. Every request has a time limit and a
/// bounded number of tries.
///
/// A put whose answer is lost is not tried again by itself where the store may have taken it, except after an answer that says
/// "server error": a second try may then find the writer's own object and tell [`StoreError::Exists`]. Writers compare what is there
/// with what they wrote, as the publisher of snapshots does.
pub struct ObjectSnapshots {
    client: Arc<AmazonS3>,
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
    prefix: String,
    place: String,
    /// Longest wait for an answer, retries included.
    deadline: Duration,
}

impl ObjectSnapshots {
    /// The bucket of `settings`. Nothing is sent yet. Credentials that are not given are sought in the environment (`AWS_…`).
    ///
    /// # Errors
    /// Where the settings make no sense.
    pub fn new(settings: &ObjectSettings) -> Result<Self, SettingsError> {
        settings.check_endpoint()?;
        settings.check_credentials()?;
        let (bucket, prefix) = settings.bucket()?;
        let timeout = Duration::from_millis(settings.timeout_ms);
        let waits = LONGEST_WAIT * u32::try_from(settings.retries).unwrap_or(u32::MAX);
        let options = ClientOptions::new()
            .with_allow_http(settings.allow_http)
            .with_connect_timeout(CONNECT_TIMEOUT.min(timeout))
            .with_timeout(timeout);
        let retry = RetryConfig {
            backoff: BackoffConfig { init_backoff: FIRST_WAIT, max_backoff: LONGEST_WAIT, base: 2.0 },
            max_retries: settings.retries,
            retry_timeout: timeout.saturating_add(waits),
        };
        let mut builder = AmazonS3Builder::from_env()
            .with_bucket_name(bucket)
            .with_client_options(options)
            .with_allow_http(settings.allow_http)
            .with_retry(retry)
            .with_conditional_put(S3ConditionalPut::ETagMatch);
        if !settings.endpoint.is_empty() {
            builder = builder.with_endpoint(settings.endpoint.as_str());
        }
        if !settings.region.is_empty() {
            builder = builder.with_region(settings.region.as_str());
        }
        if !settings.access_key_id.is_empty() {
            builder = builder
                .with_access_key_id(settings.access_key_id.as_str())
                .with_secret_access_key(settings.secret_access_key.as_str());
        }
        let place =
            format!("{}{}{}", settings.url, if settings.endpoint.is_empty() { "" } else { " at " }, settings.endpoint);
        let client = builder.build().map_err(|error| SettingsError(format!("{place}: {error}")))?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("snapshot-store")
            .enable_all()
            .build()
            .map_err(|error| SettingsError(format!("{place}: no thread for the store: {error}")))?;
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        // A try that began just before the retries' time was up may still take its own.
        let deadline = timeout.saturating_mul(2).saturating_add(waits).saturating_add(CONNECT_TIMEOUT);
        Ok(Self { client: Arc::new(client), runtime: Some(runtime), prefix, place, deadline })
    }

    /// Whether the bucket can be written, read, listed and cleared, and keeps the first of two writers: writes and removes an object
    /// whose name begins with `check/`. `unique` tells one check from another.
    ///
    /// # Errors
    /// What it cannot do.
    pub fn check(&self, unique: &str) -> Result<(), StoreError> {
        let name = format!("check/{unique}");
        self.delete(&name)?;
        self.put_new(&name, b"first")?;
        let second = self.put_new(&name, b"second");
        let listed = self.list("check/")?.contains(&name);
        let kept = self.get(&name)? == b"first";
        self.delete(&name)?;
        let unusable = |what: &str| Err(StoreError::Unavailable(format!("{}: {what}", self.place)));
        match second {
            Err(StoreError::Exists(_)) if kept && listed => Ok(()),
            Err(StoreError::Exists(_)) => unusable("what was just written is not what is read or listed"),
            Err(error) => Err(error),
            Ok(()) => {
                unusable("a second writer won: the store ignores If-None-Match and cannot fence; use another store")
            }
        }
    }

    fn path(&self, name: &str) -> Result<Path, StoreError> {
        // Parsing alone would take a name that ends with a slash for the one without it.
        let path = Path::parse(format!("{}{name}", self.prefix))
            .ok()
            .filter(|path| !name.is_empty() && path.as_ref().ends_with(name));
        path.ok_or_else(|| StoreError::Unavailable(format!("{}: {name:?} is no name of an object", self.place)))
    }

    /// Waits for `request` on the store's own runtime: the calling thread may belong to another one.
    fn wait<T: Send + 'static>(
        &self,
        name: &str,
        request: impl Future<Output = object_store::Result<T>> + Send + 'static,
    ) -> Result<T, StoreError> {
        let unanswered =
            || StoreError::Unavailable(format!("{}: no answer for {name} in {:?}", self.place, self.deadline));
        let Some(runtime) = &self.runtime else { return Err(unanswered()) };
        let (answer, answered) = mpsc::sync_channel(1);
        let running = runtime.spawn(async move {
            let _ = answer.send(request.await);
        });
        match answered.recv_timeout(self.deadline) {
            Ok(result) => result.map_err(|error| told(&self.place, name, &error)),
            Err(_) => {
                running.abort();
                Err(unanswered())
            }
        }
    }

    fn fetch(&self, name: &str, range: Option<GetRange>) -> Result<Vec<u8>, StoreError> {
        let (client, path) = (Arc::clone(&self.client), self.path(name)?);
        let options = GetOptions { range, ..GetOptions::default() };
        self.wait(name, async move { Ok(client.get_opts(&path, options).await?.bytes().await?.to_vec()) })
    }

    fn size(&self, name: &str) -> Result<u64, StoreError> {
        let (client, path) = (Arc::clone(&self.client), self.path(name)?);
        self.wait(name, async move { Ok(client.head(&path).await?.size) })
    }
}

impl SnapshotStore for ObjectSnapshots {
    fn put_new(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let (client, path, payload) = (Arc::clone(&self.client), self.path(name)?, PutPayload::from(bytes.to_vec()));
        let options = PutOptions::from(PutMode::Create);
        self.wait(name, async move { client.put_opts(&path, payload, options).await.map(|_| ()) })
    }

    fn get(&self, name: &str) -> Result<Vec<u8>, StoreError> {
        self.fetch(name, None)
    }

    fn get_range(&self, name: &str, offset: u64, length: usize) -> Result<Vec<u8>, StoreError> {
        let end = offset.saturating_add(length as u64);
        if end > offset {
            match self.fetch(name, Some(GetRange::Bounded(offset..end))) {
                Err(StoreError::Unavailable(why)) => {
                    // A range behind the end is refused like anything else that is wrong.
                    if self.size(name)? > offset {
                        return Err(StoreError::Unavailable(why));
                    }
                }
                found => return found,
            }
        }
        self.size(name).map(|_| Vec::new())
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        let (client, full) = (Arc::clone(&self.client), format!("{}{prefix}", self.prefix));
        let listed = self.wait(prefix, async move {
            let (mut names, mut page_token) = (Vec::new(), None);
            for _ in 0..PAGES {
                let options = PaginatedListOptions { page_token: page_token.take(), ..PaginatedListOptions::default() };
                let page = client
                    .list_paginated(Some(&full).filter(|full| !full.is_empty()).map(String::as_str), options)
                    .await?;
                names.extend(page.result.objects.into_iter().map(|object| object.location.to_string()));
                page_token = page.page_token;
                if page_token.is_none() {
                    return Ok(Some(names));
                }
            }
            Ok(None)
        })?;
        let listed = listed.ok_or_else(|| {
            StoreError::Unavailable(format!("{}: more than {PAGES} thousand objects begin with {prefix:?}", self.place))
        })?;
        let mut names: Vec<String> =
            listed.iter().filter_map(|name| name.strip_prefix(&self.prefix)).map(str::to_owned).collect();
        names.sort_unstable();
        Ok(names)
    }

    fn delete(&self, name: &str) -> Result<(), StoreError> {
        let (client, path) = (Arc::clone(&self.client), self.path(name)?);
        match self.wait(name, async move { client.delete(&path).await }) {
            Ok(()) | Err(StoreError::Missing(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

impl Drop for ObjectSnapshots {
    fn drop(&mut self) {
        // Waiting for the thread would panic where the store is dropped on a thread of another runtime.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl fmt::Debug for ObjectSnapshots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectSnapshots").field("place", &self.place).finish_non_exhaustive()
    }
}
