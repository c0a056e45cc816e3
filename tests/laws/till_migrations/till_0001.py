"""Accounts, parcels, tariffs and bookings."""

from alembic import op

revision = "till_0001"
down_revision = None
branch_labels = ("till",)


def upgrade() -> None:
    op.execute("""
        CREATE TABLE account (
            buyer_id text   PRIMARY KEY,
            balance  bigint NOT NULL,
            seen     jsonb  NOT NULL
        ) WITH (fillfactor = 70);

        CREATE TABLE parcel (
            buyer_id  text   NOT NULL,
            parcel_id text   NOT NULL,
            status    text   NOT NULL CHECK (status IN ('SENT', 'PACKED', 'DONE')),
            price     bigint NOT NULL,
            content   text   NOT NULL,
            note      text   NOT NULL,
            reminders bigint NOT NULL,
            PRIMARY KEY (buyer_id, parcel_id)
        ) WITH (fillfactor = 70);
        CREATE INDEX parcel_live ON parcel (buyer_id) WHERE status IN ('SENT', 'PACKED');

        CREATE TABLE tariff (
            merchant_id text   PRIMARY KEY,
            fee         bigint NOT NULL
        );

        CREATE TABLE booking (
            seq       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            buyer_id  text   NOT NULL,
            parcel_id text   NOT NULL,
            amount    bigint NOT NULL,
            cause_id  text   NOT NULL
        );
    """)
