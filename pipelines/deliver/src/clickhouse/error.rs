//! What ClickHouse, or the way there, answers when something is wrong.

use crate::sink::SinkError;

/// A failed request. No variant carries a password.
#[derive(Debug, thiserror::Error)]
pub enum ClickHouseError {
    /// A setting that makes no sense.
    #[error("ClickHouse configuration: {0}")]
    Config(String),
    /// No answer: refused, reset, timed out. Whether the statement took effect is not known.
    #[error("ClickHouse at {address} does not answer: {why}")]
    Unreachable {
        /// Scheme, host and port.
        address: String,
        /// What happened.
        why: String,
    },
    /// The server's own error.
    #[error("ClickHouse at {address} answers (code {code}): {text}")]
    Server {
        /// Scheme, host and port.
        address: String,
        /// ClickHouse's error code; 0 where it gave none.
        code: u32,
        /// HTTP status.
        status: u16,
        /// Its text, cut to a readable length.
        text: String,
    },
    /// An answer that is not what was asked for.
    #[error("ClickHouse at {address}: unexpected answer: {text}")]
    Unexpected {
        /// Scheme, host and port.
        address: String,
        /// What was wrong.
        text: String,
    },
    /// The answer could not be passed on.
    #[error("writing the answer: {0}")]
    Output(#[from] std::io::Error),
}

/// Server errors that pass by themselves: limits, overload, shutdown, lost replicas and timeouts.
const PASSING: &[u32] = &[
    159, // TIMEOUT_EXCEEDED
    160, // TOO_SLOW
    201, // QUOTA_EXCEEDED
    202, // TOO_MANY_SIMULTANEOUS_QUERIES
    209, // SOCKET_TIMEOUT
    210, // NETWORK_ERROR
    225, // NO_ZOOKEEPER
    236, // ABORTED
    241, // MEMORY_LIMIT_EXCEEDED
    242, // TABLE_IS_READ_ONLY
    252, // TOO_MANY_PARTS
    285, // TOO_FEW_LIVE_REPLICAS
    286, // UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE
    319, // UNKNOWN_STATUS_OF_INSERT
    394, // QUERY_WAS_CANCELLED
    425, // SYSTEM_ERROR
    439, // CANNOT_SCHEDULE_TASK
    999, // KEEPER_EXCEPTION
];

impl ClickHouseError {
    /// Whether waiting may mend it without anybody doing anything.
    pub fn passes(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Server { code, status, .. } => {
                PASSING.contains(code) || (*code == 0 && *status >= 500) || *status == 429
            }
            _ => false,
        }
    }
}

impl From<ClickHouseError> for SinkError {
    fn from(error: ClickHouseError) -> Self {
        if error.passes() { Self::Unavailable(error.to_string()) } else { Self::Refused(error.to_string()) }
    }
}
