"""The demo's database: tables in the shape of Evergreen's circulation and patron tables, their names without the schema."""

from __future__ import annotations

DDL = """
create table actor_usr (
    id integer primary key not null, usrname text not null unique, email text, first_given_name text not null,
    family_name text not null, dob date, day_phone text, home_ou integer not null, create_date timestamp not null,
    expire_date timestamp, barred boolean not null default 0
);
create table actor_card (
    id integer primary key not null, usr integer not null references actor_usr (id), barcode text not null unique
);
create index actor_card_usr on actor_card (usr);
create table actor_usr_address (
    id integer primary key not null, usr integer not null references actor_usr (id), street1 text not null, city text not null,
    state text not null, post_code text not null
);
create index actor_usr_address_usr on actor_usr_address (usr);
create table actor_usr_activity (
    id integer primary key not null, usr integer, etype text not null, event_time timestamp not null, event_data text
);
create index actor_usr_activity_usr on actor_usr_activity (usr);
create table action_circulation (
    id integer primary key not null, usr integer not null references actor_usr (id), target_copy integer not null,
    circ_lib integer not null, xact_start timestamp not null, due_date timestamp not null, checkin_time timestamp,
    xact_finish timestamp, stop_fines text
);
create index action_circulation_usr on action_circulation (usr);
create index action_circulation_finish on action_circulation (xact_finish);
create table money_grocery (
    id integer primary key not null, usr integer not null references actor_usr (id), billing_location integer not null,
    xact_start timestamp not null, xact_finish timestamp, note text
);
create index money_grocery_usr on money_grocery (usr);
create table money_billing (
    id integer primary key not null, xact integer not null, billing_ts timestamp not null, amount numeric not null, note text
);
create index money_billing_xact on money_billing (xact);
create table money_materialized_billable_xact_summary (
    id integer primary key not null, usr integer not null, balance_owed numeric not null
);
create index money_summary_usr on money_materialized_billable_xact_summary (usr);
create table action_usr_circ_history (
    id integer primary key not null, usr integer not null references actor_usr (id), target_copy integer not null,
    xact_start timestamp not null, due_date timestamp not null, checkin_time timestamp, opted_in boolean
);
create index action_usr_circ_history_usr on action_usr_circ_history (usr);
create table action_trigger_event (
    id integer primary key not null, context_user integer, event_def text not null, state text not null,
    complete_time timestamp, user_data text
);
create index action_trigger_event_user on action_trigger_event (context_user);
create table acq_user_request (
    id integer primary key not null, usr integer not null references actor_usr (id), pickup_lib integer not null,
    request_date timestamp not null, title text not null, other_info text
);
create index acq_user_request_usr on acq_user_request (usr);
create table booking_reservation (
    id integer primary key not null, usr integer not null references actor_usr (id), pickup_lib integer not null,
    start_time timestamp not null, end_time timestamp not null, note text
);
create index booking_reservation_usr on booking_reservation (usr);
"""

TABLES = (
    "actor_usr", "actor_card", "actor_usr_address", "actor_usr_activity", "action_circulation", "money_grocery", "money_billing",
    "money_materialized_billable_xact_summary", "action_usr_circ_history", "action_trigger_event", "acq_user_request",
    "booking_reservation",
)  # fmt: skip
"""Parents before what refers to them."""
