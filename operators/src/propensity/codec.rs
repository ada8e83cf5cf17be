//! The encoding of what a score is made of, on its way to another partition or into a snapshot: Avro's primitives in a fixed order.

use super::Activity;
use crate::core::encoding::{StateError, StateReader, write};

/// Appends an activity.
pub fn write(out: &mut Vec<u8>, activity: &Activity) {
    write::long(out, activity.first_ms);
    write::long(out, activity.last_ms);
    write::bytes(out, &activity.products.to_le_bytes());
    for count in [activity.orders, activity.events] {
        write::long(out, i64::from(count));
    }
    for count in [
        activity.page_views,
        activity.product_views,
        activity.list_views,
        activity.searches,
        activity.cart_adds,
        activity.cart_removes,
        activity.checkout_steps,
        activity.channels,
    ] {
        write::long(out, i64::from(count));
    }
    for small in [activity.devices, activity.funnel_depth, activity.consent] {
        write::long(out, i64::from(small));
    }
    write::bool(out, activity.is_bot);
}

/// Reads what [`write()`] wrote.
///
/// # Errors
/// Where it is damaged.
pub fn read(reader: &mut StateReader<'_>) -> Result<Activity, StateError> {
    Ok(Activity {
        first_ms: reader.long()?,
        last_ms: reader.long()?,
        products: reader.hash()?,
        orders: reader.small()?,
        events: reader.small()?,
        page_views: reader.small()?,
        product_views: reader.small()?,
        list_views: reader.small()?,
        searches: reader.small()?,
        cart_adds: reader.small()?,
        cart_removes: reader.small()?,
        checkout_steps: reader.small()?,
        channels: reader.small()?,
        devices: reader.small()?,
        funnel_depth: reader.small()?,
        consent: reader.small()?,
        is_bot: reader.bool()?,
    })
}
