//! What a store's refusals mean.

use millstream_runtime::snapshot::StoreError;
use object_store::Error;

/// Most characters of a reason.
const WORDS: usize = 300;

/// A failed request for `name`, told so that one knows what to do. `place` says where the bucket is.
pub(crate) fn told(place: &str, name: &str, error: &Error) -> StoreError {
    match error {
        _ if said_by_store(error, "NoSuchBucket") => {
            StoreError::Unavailable(format!("{place}: there is no such bucket; make it, or correct snapshots.url"))
        }
        Error::NotFound { .. } => StoreError::Missing(name.to_owned()),
        Error::AlreadyExists { source, .. } if is_condition(source.as_ref()) => StoreError::Exists(name.to_owned()),
        // Two requests at once, of which the store let neither win: nobody knows yet whose it will be.
        Error::AlreadyExists { .. } => {
            StoreError::Unavailable(format!("{place}: {name} is being written by another at this moment; try again"))
        }
        Error::Precondition { .. } | Error::NotModified { .. } => StoreError::Exists(name.to_owned()),
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => refused(place, name),
        // Of listings the client tells no more than this.
        _ if said_by_store(error, "401 Unauthorized") || said_by_store(error, "403 Forbidden") => refused(place, name),
        Error::NotImplemented { .. } | Error::NotSupported { .. } => StoreError::Unavailable(format!(
            "{place}: the store cannot do what is asked for {name}; it needs conditional writes"
        )),
        _ => StoreError::Unavailable(format!("{place}: {name}: {}", words(error))),
    }
}

/// Whether the put's own condition was what failed.
fn is_condition(source: &(dyn std::error::Error + 'static)) -> bool {
    matches!(source.downcast_ref::<Error>(), Some(Error::Precondition { .. } | Error::NotModified { .. }))
}

fn refused(place: &str, name: &str) -> StoreError {
    StoreError::Unavailable(format!(
        "{place}: the credentials are refused for {name}; look at snapshots.access_key_id and secret_access_key, the clock of this \
         machine, and whether they may list the bucket and get, put and delete its objects"
    ))
}

fn said_by_store(error: &Error, what: &str) -> bool {
    all_words(error).contains(what)
}

/// The error and its causes as a line that can be logged. Of the store's answer only its code: the rest may hold the access key.
fn words(error: &Error) -> String {
    let said = all_words(error);
    let (ours, answer) = said.split_once("<").unwrap_or((&said, ""));
    let code = answer.split_once("Code>").and_then(|(_, rest)| rest.split('<').next()).unwrap_or_default();
    let line = format!("{ours}{code}").split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(WORDS) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}

fn all_words(error: &Error) -> String {
    let mut said = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        let text = inner.to_string();
        if !said.contains(&text) {
            said = format!("{said}: {text}");
        }
        cause = inner.source();
    }
    said
}
