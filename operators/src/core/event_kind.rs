//! What an event's type means to the operators.

/// The event catalogue as the operators see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// A page was viewed.
    PageView,
    /// A page is still being read.
    PagePing,
    /// A search.
    Search,
    /// A product was viewed.
    ProductView,
    /// A list of products was viewed.
    ListView,
    /// Added to the cart.
    AddToCart,
    /// Removed from the cart.
    RemoveFromCart,
    /// A step of the checkout.
    CheckoutStep,
    /// A purchase in the shop.
    Purchase,
    /// Money given back; not a visit.
    Refund,
    /// A purchase elsewhere; not a visit.
    OfflineOrder,
    /// A contact outside the shop's site; not a visit.
    OfflineTouch,
    /// Advertising cost; not a visit.
    Spend,
    /// Anything else a visitor did: click, identify, logout, consent, exposure, custom.
    Other,
}

impl EventKind {
    /// The kind of an `event_type`.
    pub fn of(event_type: &str) -> Self {
        match event_type {
            "page_view" => Self::PageView,
            "page_ping" => Self::PagePing,
            "search" => Self::Search,
            "product_view" => Self::ProductView,
            "list_view" => Self::ListView,
            "add_to_cart" => Self::AddToCart,
            "remove_from_cart" => Self::RemoveFromCart,
            "checkout_step" => Self::CheckoutStep,
            "purchase" => Self::Purchase,
            "refund" => Self::Refund,
            "offline_order" => Self::OfflineOrder,
            "offline_touch" => Self::OfflineTouch,
            "spend" => Self::Spend,
            _ => Self::Other,
        }
    }

    /// Whether it is part of a session: something a visitor did in the shop.
    pub fn is_visit(self) -> bool {
        !matches!(self, Self::Refund | Self::OfflineOrder | Self::OfflineTouch | Self::Spend)
    }

    /// Whether it names an order or refund that belongs to the source's person.
    pub fn is_order(self) -> bool {
        matches!(self, Self::Purchase | Self::Refund | Self::OfflineOrder)
    }

    /// Whether it says something about the visitor's intent, so that scoring it anew is worth it. Pings and clicks do not.
    pub fn is_informative(self) -> bool {
        self.funnel_depth() > 0
    }

    /// How far into the funnel it reaches: 0 other, 1 page, 2 list or search, 3 product, 4 cart, 5 checkout, 6 purchase.
    pub fn funnel_depth(self) -> u8 {
        match self {
            Self::PageView => 1,
            Self::ListView | Self::Search => 2,
            Self::ProductView => 3,
            Self::AddToCart | Self::RemoveFromCart => 4,
            Self::CheckoutStep => 5,
            Self::Purchase => 6,
            Self::PagePing | Self::Refund | Self::OfflineOrder | Self::OfflineTouch | Self::Spend | Self::Other => 0,
        }
    }
}
