//! What ClickHouse, or the way there, answers when something is wrong.

use crate::cause::Cause;
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

/// What the server's codes mean, and whether it passes by itself. A code that is not here is a refusal.
const CODES: &[(u32, Cause, bool)] = &[
    (10, Cause::SchemaDrift, false),  // NOT_FOUND_COLUMN_IN_BLOCK
    (16, Cause::SchemaDrift, false),  // NO_SUCH_COLUMN_IN_TABLE
    (20, Cause::SchemaDrift, false),  // NUMBER_OF_COLUMNS_DOESNT_MATCH
    (53, Cause::SchemaDrift, false),  // TYPE_MISMATCH
    (60, Cause::SchemaDrift, false),  // UNKNOWN_TABLE
    (81, Cause::SchemaDrift, false),  // UNKNOWN_DATABASE
    (117, Cause::SchemaDrift, false), // INCORRECT_DATA: names or types before the rows are not the table's
    (159, Cause::Overloaded, true),   // TIMEOUT_EXCEEDED
    (160, Cause::Overloaded, true),   // TOO_SLOW
    (164, Cause::ReadOnly, false),    // READONLY
    (192, Cause::NotAllowed, false),  // UNKNOWN_USER
    (193, Cause::NotAllowed, false),  // WRONG_PASSWORD
    (194, Cause::NotAllowed, false),  // REQUIRED_PASSWORD
    (201, Cause::Overloaded, true),   // QUOTA_EXCEEDED
    (202, Cause::Overloaded, true),   // TOO_MANY_SIMULTANEOUS_QUERIES
    (209, Cause::Overloaded, true),   // SOCKET_TIMEOUT
    (210, Cause::Overloaded, true),   // NETWORK_ERROR
    (225, Cause::Coordination, true), // NO_ZOOKEEPER
    (236, Cause::Overloaded, true),   // ABORTED
    (241, Cause::MemoryLimit, true),  // MEMORY_LIMIT_EXCEEDED
    (242, Cause::ReadOnly, true),     // TABLE_IS_READ_ONLY
    (243, Cause::DiskFull, true),     // NOT_ENOUGH_SPACE
    (252, Cause::TooManyParts, true), // TOO_MANY_PARTS
    (285, Cause::Coordination, true), // TOO_FEW_LIVE_REPLICAS
    (286, Cause::Coordination, true), // UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE
    (319, Cause::Coordination, true), // UNKNOWN_STATUS_OF_INSERT
    (394, Cause::Overloaded, true),   // QUERY_WAS_CANCELLED
    (425, Cause::Overloaded, true),   // SYSTEM_ERROR
    (439, Cause::Overloaded, true),   // CANNOT_SCHEDULE_TASK
    (497, Cause::NotAllowed, false),  // ACCESS_DENIED
    (516, Cause::NotAllowed, false),  // AUTHENTICATION_FAILED
    (999, Cause::Coordination, true), // KEEPER_EXCEPTION
];

/// How a full disk shows in errors of files, whatever their code (75, 76, 1001 and others).
const DISK_FULL_TEXTS: &[&str] = &["No space left on device", "errno: 28"];

impl ClickHouseError {
    /// What is the matter, as far as metrics and alerts tell it apart.
    pub fn cause(&self) -> Cause {
        self.meaning().0
    }

    /// Whether waiting may mend it without anybody doing anything at the table or the login.
    pub fn passes(&self) -> bool {
        self.meaning().1
    }

    fn meaning(&self) -> (Cause, bool) {
        match self {
            Self::Unreachable { .. } => (Cause::Unreachable, true),
            Self::Server { text, .. } if DISK_FULL_TEXTS.iter().any(|full| text.contains(full)) => {
                (Cause::DiskFull, true)
            }
            Self::Server { code, status, .. } => {
                let known = CODES.iter().find(|(known, ..)| known == code);
                match known {
                    Some((_, cause, passes)) => (*cause, *passes),
                    None if (*code == 0 && *status >= 500) || *status == 429 => (Cause::Overloaded, true),
                    None => (Cause::Refused, false),
                }
            }
            Self::Config(_) | Self::Unexpected { .. } | Self::Output(_) => (Cause::Refused, false),
        }
    }
}

impl From<ClickHouseError> for SinkError {
    fn from(error: ClickHouseError) -> Self {
        match error.cause() {
            Cause::Unreachable => Self::Unavailable(error.to_string()),
            Cause::Refused => Self::Refused(error.to_string()),
            cause => Self::Troubled { cause, why: error.to_string() },
        }
    }
}
