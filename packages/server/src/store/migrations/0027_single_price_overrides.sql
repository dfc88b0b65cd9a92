-- A customer's own prices for single meters, laid over a card: each version of the card has a derived one, that rates this customer.
alter table rate_card_version add column base_id bigint;
alter table rate_card_version add constraint derived_named check ((base_id is null) = (position('+' in key) = 0));

create sequence price_override_serial;
alter table customer_override add column prices jsonb;
alter table customer_override add column derived_card text;
alter table customer_override add constraint prices_whole check ((prices is null) = (derived_card is null));
create index customer_override_of_card on customer_override (environment_id, rate_card) where prices is not null;
