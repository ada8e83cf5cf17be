//! The models: who gets how much of an order.

use super::touch::Touch;
use super::{HalfLife, decay};

/// A rule that divides an order over its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Model {
    /// All to the first touch.
    First,
    /// All to the last.
    Last,
    /// All to the last whose channel says where the visit came from; where none does, to the last.
    LastNonDirect,
    /// To all alike.
    Linear,
    /// Half as much for each half-life before the last touch.
    TimeDecay,
    /// 40 % to the first, 40 % to the last, 20 % to those between; two halve it.
    Position,
}

impl Model {
    /// All models.
    pub const ALL: [Self; 6] =
        [Self::First, Self::Last, Self::LastNonDirect, Self::Linear, Self::TimeDecay, Self::Position];

    /// Its symbol in records.
    pub fn symbol(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Last => "last",
            Self::LastNonDirect => "last_non_direct",
            Self::Linear => "linear",
            Self::TimeDecay => "time_decay",
            Self::Position => "position",
        }
    }

    /// Appends the weights of the touches of a path: whole numbers, so that division by them is exact.
    pub fn weights(self, path: &[Touch<'_>], half_life: HalfLife, out: &mut Vec<u64>) {
        let last = path.len().saturating_sub(1);
        let only = |winner: usize, out: &mut Vec<u64>| out.extend((0..path.len()).map(|at| u64::from(at == winner)));
        match self {
            Self::First => only(0, out),
            Self::Last => only(last, out),
            Self::LastNonDirect => only(path.iter().rposition(|touch| !touch.is_direct()).unwrap_or(last), out),
            Self::Linear => out.extend(path.iter().map(|_| 1)),
            Self::TimeDecay => {
                // Ages from the last touch on: that is the same division as from the order on, and keeps all bits.
                let newest_ms = path.last().map_or(0, |touch| touch.at_ms);
                out.extend(path.iter().enumerate().map(|(at, touch)| match half_life {
                    HalfLife::Ms(half_life_ms) => decay::halved(newest_ms.saturating_sub(touch.at_ms), half_life_ms),
                    HalfLife::Touches(touches) => decay::halved((last - at) as i64, i64::from(touches)),
                }));
            }
            Self::Position => {
                // 40 : 20/(n − 2) is 2(n − 2) : 1.
                let end = 2 * (path.len() as u64).saturating_sub(2);
                out.extend((0..path.len()).map(|at| if at == 0 || at == last { end.max(1) } else { 1 }));
            }
        }
    }
}
