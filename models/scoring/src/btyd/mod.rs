//! Buy till you die: how often a customer buys, until they stop without saying so.
//!
//! - [`BgNbd`]: purchases come at a customer's own rate, and after each the customer may be gone (Fader, Hardie and Lee, "Counting
//!   your customers the easy way", Marketing Science 24(2), 2005). Needs three numbers of a customer: a [`History`].
//! - [`GammaGamma`]: what a purchase is worth (Fader, Hardie and Lee 2005; Fader and Hardie's note of 2013).
//! - [`BtydModel`]: both with a name and a version, as a document.
//! - [`fit`]: parameters from customers, by maximum likelihood.
//!
//! The score to act on is the probability of at least one purchase in the time ahead, [`BgNbd::p_active`], not
//! [`BgNbd::p_alive`]: that one is 1 by construction for everybody who bought once and never came back.
//!
//! Pure and the same bits on every machine: additions, multiplications, divisions and the functions of `libm`.

mod bg_nbd;
mod document;
pub mod fit;
mod gamma_gamma;
mod nelder_mead;

pub use bg_nbd::{BgNbd, History};
pub use document::{BtydError, BtydModel, DAYS_PER_WEEK};
pub use gamma_gamma::GammaGamma;
