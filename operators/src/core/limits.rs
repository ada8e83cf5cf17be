//! Bounds of everything that can grow. What exceeds one is never dropped silently: each says what happens instead.

/// Sources of one person. The longest idle one makes room: its sessions stay as they were last emitted.
pub const SOURCES_PER_PERSON: usize = 64;
/// Sessions of one source that can still be amended. The oldest makes room: it is closed and stays as it was last emitted.
pub const SESSIONS_PER_SOURCE: usize = 64;
/// Distinct page view ids of one session. Later page views count without looking for repetitions.
pub const PAGE_VIEWS_PER_SESSION: usize = 256;
/// Distinct orders of one session. Later ones do not count in it; in `orders` they all do.
pub const ORDERS_PER_SESSION: usize = 32;
/// Single events kept of one source where campaigns split sessions. The oldest are folded into one, which can be split no more.
pub const EVENTS_PER_SOURCE: usize = 512;
/// Orders and refunds of one source that follow it to another person. The oldest stay with the person they had.
pub const PURCHASES_PER_SOURCE: usize = 64;
/// Refunds of one order; more are rejected (`too_many_refunds`).
pub const REFUNDS_PER_ORDER: usize = 64;
/// Offline touches that name one order. The oldest make room: they are no longer of the path that led to it.
pub const TOUCHES_PER_ORDER: usize = 16;
/// Sources that an order's events came from and whose owner it follows; of more, the first stay.
pub const OWNERS_PER_ORDER: usize = 8;
/// Bytes of the touches that one source remembers of freed sessions, as are those that a person was told of by its orders. The oldest
/// make room: an order that one of them led to is then attributed without it, and its credits are revised.
pub const TOUCHES_BYTES_PER_SOURCE: usize = 8_192;
/// Touches of one order's path. Older ones have no credit.
pub const TOUCHES_PER_PATH: usize = 100;
/// Bytes of records waiting for one source's hand-over; more are rejected (`held_overflow`).
pub const HELD_BYTES_PER_SOURCE: usize = 256 * 1024;
/// Bytes of records waiting for hand-overs in one task; more are rejected (`held_overflow`).
pub const HELD_BYTES_PER_TASK: usize = 64 * 1024 * 1024;
/// An address or referrer is kept up to this many bytes.
pub const ADDRESS_BYTES: usize = 2_048;
/// Any other text is kept up to this many bytes.
pub const TEXT_BYTES: usize = 256;
/// Timers that one announced watermark fires; of more, the rest fires with the announcements that follow, in the same order. A
/// watermark that leaps days ahead would else close everybody's session in one transaction.
pub const TIMERS_PER_RECORD: usize = 10_000;
/// How long an order or refund can be revised, by what is settled.
pub const ORDER_RETENTION_MS: i64 = 400 * 86_400_000;
/// How far time may run ahead of what partitions send to each other.
pub const FEEDBACK_SLACK_MS: i64 = 20 * 86_400_000;
/// How long a person's orders and refunds are kept singly: as long as they can be revised and 30 days more, because another partition
/// tells of them, and what it tells may be that slack late, and the horizon.
pub const BUYER_RETENTION_MS: i64 = ORDER_RETENTION_MS + 30 * 86_400_000;
/// Orders of one person kept singly. The oldest make room: they are folded into a summary and stay as they are then, in every figure
/// that counts them, but refunds and revisions no longer reach them.
pub const ORDERS_PER_PERSON: usize = 512;
/// Refunds without order id of one person kept singly. The oldest make room, with the orders before them.
pub const RETURNS_PER_PERSON: usize = 512;
/// Lines of the orders and refunds of one person. The oldest orders and refunds make room; one order alone may have 2,000.
pub const LINES_PER_PERSON: usize = 16_384;
/// How long a customer is remembered of whose orders only sums are left, since the last of them; ten years, when scores have long
/// fallen silent. Rows stay as they were last emitted.
pub const CUSTOMER_RETENTION_MS: i64 = 3_653 * 86_400_000;
/// How long a source that is not seen again is remembered by what is left of its sessions, by watermark. A visitor who comes later is
/// a new one to profiles and scores; rows stay as they were last emitted.
pub const VISITS_RETENTION_MS: i64 = 400 * 86_400_000;
/// Sessions stay this much longer than gap and horizon: an event within the horizon may wait in the collector before it is appended.
pub const SLACK_MS: i64 = 3_600_000;

/// The longest prefix of `text` of at most `limit_bytes` that ends at a character.
pub fn clip(text: &str, limit_bytes: usize) -> &str {
    text.get(..text.floor_char_boundary(limit_bytes)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::clip;

    #[test]
    fn clips_at_a_character() {
        assert_eq!((clip("abc", 5), clip("abc", 2), clip("aé", 2), clip("", 0)), ("abc", "ab", "a", ""));
    }
}
