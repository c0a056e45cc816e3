"""Orders, return cases and refunds."""

from alembic import op

revision = "refunds_0001"
down_revision = None
branch_labels = ("refunds",)


def upgrade() -> None:
    op.execute("""
        -- An accepted order and what came back of it. Named in the plural: ORDER is a word of SQL itself.
        CREATE TABLE orders (
            buyer_id    text        NOT NULL,
            order_id    text        NOT NULL,
            merchant_id text        NOT NULL,
            kind        text        NOT NULL CHECK (kind IN ('GOODS', 'SERVICE')),
            currency    text        NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
            accepted_at timestamptz NOT NULL,
            amount      bigint      NOT NULL CHECK (amount >= 0),
            lines       jsonb       NOT NULL CHECK (jsonb_typeof(lines) = 'array'),
            terms       jsonb       NOT NULL CHECK (jsonb_typeof(terms) = 'object'),
            refunded    bigint      NOT NULL CHECK (refunded BETWEEN 0 AND amount),
            PRIMARY KEY (buyer_id, order_id),
            -- I-3: of no line more units or more value go than were accepted.
            CONSTRAINT orders_give_back_no_more_than_there_is CHECK (NOT jsonb_path_exists(lines, '$[*] ? (
                @.refunded_qty < 0 || @.open_qty < 0 || @.refunded_qty + @.open_qty > @.quantity
                || @.refunded < 0 || @.refunded > @.goods + @.freight)'))
        ) WITH (fillfactor = 70);

        -- Its lines, one a row, for people.
        CREATE VIEW order_line AS
        SELECT orders.buyer_id, orders.order_id, part.*, orders.currency,
               part.quantity - part.refunded_qty - part.open_qty AS free_qty
        FROM orders, jsonb_to_recordset(orders.lines) AS part (
            line_id text, sku text, category text, quantity bigint, goods bigint, freight bigint, returnable boolean,
            refunded_qty bigint, open_qty bigint, refunded bigint
        );

        -- A buyer's request to give goods back.
        CREATE TABLE return_case (
            buyer_id       text        NOT NULL,
            case_id        text        NOT NULL,
            order_id       text        NOT NULL,
            merchant_id    text        NOT NULL,
            content        text        NOT NULL,
            status         text        NOT NULL CHECK (status IN ('UNDER_REVIEW', 'EVIDENCE_REQUIRED', 'APPROVED',
                                                'IN_TRANSIT', 'RECEIVED', 'ASSESSED', 'DISPUTED', 'REFUND_DUE',
                                                'CLOSED')),
            kind           text        NOT NULL CHECK (kind IN ('RETURN_REFUND', 'REFUND_ONLY', 'EXCHANGE', 'CLAIM')),
            review_mode    text        NOT NULL CHECK (review_mode IN ('SELLER', 'PLATFORM')),
            reason         text        NOT NULL,
            lines          jsonb       NOT NULL CHECK (jsonb_array_length(lines) >= 1),
            evidence       jsonb       NOT NULL CHECK (jsonb_array_length(evidence) >= 1),
            destination    text        NOT NULL CHECK (destination IN ('ORIGINAL_ROUTE', 'WALLET')),
            currency       text        NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
            share_amount   bigint      NOT NULL CHECK (share_amount >= 0),
            opened_at      timestamptz NOT NULL,
            value_on       date        NOT NULL,
            grades         jsonb       NOT NULL CHECK (jsonb_typeof(grades) = 'array'),
            responsibility text                 CHECK (responsibility IN ('BUYER', 'CARRIER', 'SELLER')),
            refund_id      text,
            outcome        text                 CHECK (outcome IN ('REFUNDED', 'NO_REFUND', 'EXCHANGED', 'REJECTED',
                                                'WITHDRAWN', 'LAPSED')),
            PRIMARY KEY (buyer_id, case_id),
            CONSTRAINT return_case_closed_has_its_outcome CHECK ((status = 'CLOSED') = (outcome IS NOT NULL)),
            CONSTRAINT return_case_refunded_has_its_refund CHECK (
                (status = 'REFUND_DUE' OR outcome IS NOT DISTINCT FROM 'REFUNDED') = (refund_id IS NOT NULL)
            ),
            CONSTRAINT return_case_disputed_is_the_platforms CHECK (status <> 'DISPUTED' OR review_mode = 'PLATFORM'),
            CONSTRAINT return_case_assessed_has_an_answerable CHECK (
                status <> 'ASSESSED' OR responsibility IS NOT NULL
            ),
            CONSTRAINT return_case_gets_no_more_than_it_asks_for CHECK (NOT jsonb_path_exists(lines, '$[*] ? (
                @.quantity < 1 || @.received < 0 || @.received > @.quantity)'))
        ) WITH (fillfactor = 70);
        CREATE INDEX return_case_live ON return_case (buyer_id)
            WHERE status IN ('UNDER_REVIEW', 'EVIDENCE_REQUIRED', 'APPROVED', 'IN_TRANSIT', 'RECEIVED', 'ASSESSED',
                             'DISPUTED', 'REFUND_DUE');

        -- Its lines, one a row, for people.
        CREATE VIEW return_line AS
        SELECT return_case.buyer_id, return_case.case_id, return_case.order_id, part.*
        FROM return_case, jsonb_to_recordset(return_case.lines) AS part (
            line_id text, quantity bigint, received bigint
        );

        -- What the legs of a refund sum to.
        CREATE FUNCTION legs_amount(legs jsonb) RETURNS numeric LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
            SELECT coalesce(sum((leg ->> 'amount')::numeric), 0) FROM jsonb_array_elements(legs) AS leg
        $$;

        -- Money that goes back to a buyer.
        CREATE TABLE refund (
            buyer_id    text   NOT NULL,
            refund_id   text   NOT NULL,
            order_id    text,
            merchant_id text,
            case_id     text,
            cause       text   NOT NULL
                        CHECK (cause IN ('RETURN', 'CLAIM', 'GOODWILL', 'APPEAL', 'DISPUTE', 'OVERPAYMENT')),
            currency    text   NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
            amount      bigint NOT NULL CHECK (amount > 0),
            status      text   NOT NULL CHECK (status IN ('APPROVED', 'EXECUTING', 'COMPLETED')),
            promise_by  date   NOT NULL,
            legs        jsonb  NOT NULL CHECK (jsonb_typeof(legs) = 'array'),
            unallocated bigint NOT NULL CHECK (unallocated >= 0),
            content     text   NOT NULL,
            PRIMARY KEY (buyer_id, refund_id),
            -- I-7: what was overpaid belongs to no order, everything else does; a return comes from a case, no gesture.
            CONSTRAINT refund_has_one_cause CHECK (
                num_nonnulls(order_id, merchant_id) = CASE cause WHEN 'OVERPAYMENT' THEN 0 ELSE 2 END
                AND CASE WHEN cause IN ('RETURN', 'CLAIM') THEN case_id IS NOT NULL
                         WHEN cause IN ('GOODWILL', 'OVERPAYMENT') THEN case_id IS NULL
                         ELSE true END
            ),
            CONSTRAINT refund_falls_as_a_whole CHECK (
                CASE status WHEN 'APPROVED' THEN legs = '[]' AND unallocated = 0
                            ELSE legs_amount(legs) + unallocated = amount END
            ),
            CONSTRAINT refund_complete_when_every_leg_is CHECK (
                status = 'APPROVED'
                OR (status = 'COMPLETED') = NOT jsonb_path_exists(legs, '$[*] ? (@.status != "SUCCEEDED")')
            ),
            CONSTRAINT refund_debt_is_not_paid_out CHECK (
                NOT jsonb_path_exists(legs, '$[*] ? (@.kind == "DEBT" && (@.tries != 0 || @.status != "SUCCEEDED"))')
            )
        ) WITH (fillfactor = 70);
        CREATE INDEX refund_live ON refund (buyer_id) WHERE status IN ('APPROVED', 'EXECUTING');

        -- Its legs, one a row, for people; payout_id is the present payout.
        CREATE VIEW refund_leg AS
        SELECT refund.buyer_id, refund.refund_id, refund.order_id, part.*, refund.currency,
               CASE WHEN part.tries > 0 THEN part.leg_id || ':' || part.tries END AS payout_id
        FROM refund, jsonb_to_recordset(refund.legs) AS part (
            leg_id text, kind text, amount bigint, status text, instrument jsonb, repayment_id text,
            tries bigint, asks bigint, returned boolean, provider_ref text
        );
    """)
