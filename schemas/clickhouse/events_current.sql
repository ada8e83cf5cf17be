-- One accepted event, validated, corrected, classified and assigned to its source and person.
-- One row a key: its newest revision, unless that one is retracted.
CREATE OR REPLACE VIEW events_current AS
SELECT `site`, `event_id`, `revision`, `retracted`, `event_type`, `event_time`, `received_at`, `time_quality`, `sequence`, `consent`, `is_bot`, `origin`, `device_id`, `user_id`, `source`, `person`, `person_user_id`, `tracker_session_id`, `page_view_id`, `page_url`, `page_title`, `page_referrer`, `channel`, `utm_source`, `utm_medium`, `utm_campaign`, `utm_term`, `utm_content`, `click_id_kind`, `device_class`, `os`, `browser`, `language`, `country`, `product_id`, `product_name`, `product_category`, `product_brand`, `unit_price`, `quantity`, `list_id`, `search_query`, `search_results`, `click_target`, `engaged_ms`, `scroll_depth_pct`, `checkout_step`, `order_id`, `refund_id`, `currency`, `amount_minor`, `tax_minor`, `shipping_minor`, `discount_minor`, `coupon`, `lines`, `experiment_id`, `variation_id`, `spend_channel`, `spend_campaign`, `custom_name`, `properties`
FROM events
WHERE retracted = 0
