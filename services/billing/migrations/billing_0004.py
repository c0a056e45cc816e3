"""Statements, late fees, extensions, external payments, reversals; a journal the service can only add to."""

from alembic import op

revision = "billing_0004"
down_revision = "billing_0003"
branch_labels = None


def upgrade() -> None:
    op.execute("""
        -- Numbers a buyer's overpayments.
        ALTER TABLE book
            ADD COLUMN overpayments bigint NOT NULL DEFAULT 0 CHECK (overpayments >= 0);
        UPDATE book SET overpayments = (
            SELECT count(*) FROM refund WHERE refund.buyer_id = book.buyer_id AND refund.cause = 'OVERPAYMENT'
        );

        -- A reversed repayment comes back as an instalment of its own.
        ALTER TABLE plan
            ADD COLUMN reinstated bigint NOT NULL DEFAULT 0 CHECK (reinstated >= 0),
            DROP CONSTRAINT plan_instalments_check,
            ADD CONSTRAINT plan_instalments_check CHECK (jsonb_array_length(instalments) BETWEEN 1 AND 100);
        DROP VIEW instalment;
        CREATE VIEW instalment AS
        SELECT plan.buyer_id, plan.order_id, part.seq, part.bill_id, part.principal, part.fee, part.paid, part.fee_paid,
               part.refunded, part.charged_off, coalesce(part.fee_charged_off, 0) AS fee_charged_off, part.paused,
               plan.currency,
               part.principal - part.paid - part.refunded - part.charged_off AS outstanding
        FROM plan, jsonb_to_recordset(plan.instalments) AS part (
            seq int, bill_id text, principal bigint, fee bigint, paid bigint, fee_paid bigint, refunded bigint,
            charged_off bigint, fee_charged_off bigint, paused bigint
        );

        -- What its lines were billed, what refunds took of that, its late fees; since when anything was paid on it.
        ALTER TABLE bill
            ADD COLUMN billed       bigint  NOT NULL DEFAULT 0,
            ADD COLUMN refunded     bigint  NOT NULL DEFAULT 0 CHECK (refunded >= 0),
            ADD COLUMN late_fees    jsonb   NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(late_fees) = 'array'),
            ADD COLUMN statement_on date,
            ADD COLUMN extended     boolean NOT NULL DEFAULT false,
            DROP CONSTRAINT bill_paid_has_its_day,
            ADD CONSTRAINT bill_paid_has_its_day CHECK (status <> 'PAID' OR paid_on IS NOT NULL),
            ADD CONSTRAINT bill_is_cut_on_a_day CHECK (
                (kind = 'MONTHLY') = (statement_on IS NOT NULL) AND (status <> 'SCHEDULED' OR kind = 'MONTHLY')
            ),
            ADD CONSTRAINT bill_late_fees_cover_what_is_paid_and_taken_back CHECK (NOT jsonb_path_exists(
                late_fees, '$[*] ? (@.reversed + @.charged_off > @.amount)'));
        UPDATE bill SET
            billed = (
                SELECT coalesce(sum(part.principal), 0) FROM instalment AS part
                WHERE part.buyer_id = bill.buyer_id AND part.bill_id = bill.bill_id
            ),
            refunded = (
                SELECT coalesce(sum(part.refunded), 0) FROM instalment AS part
                WHERE part.buyer_id = bill.buyer_id AND part.bill_id = bill.bill_id
            ),
            paid_on = coalesce(paid_on, (
                SELECT max((payment ->> 'paid_on')::date)
                FROM jsonb_array_elements(bill.lines) AS line
                JOIN plan ON plan.buyer_id = bill.buyer_id AND plan.order_id = line ->> 'order_id'
                CROSS JOIN LATERAL jsonb_array_elements(plan.payments) AS payment
                WHERE bill.status <> 'VOIDED'
            ));
        ALTER TABLE bill
            ALTER COLUMN billed DROP DEFAULT,
            ADD CONSTRAINT bill_billed_check CHECK (billed >= refunded);

        -- Later due dates that were asked for.
        CREATE TABLE extension (
            buyer_id     text        NOT NULL,
            extension_id text        NOT NULL,
            bill_id      text        NOT NULL,
            status       text        NOT NULL CHECK (status IN ('REQUESTED', 'GRANTED', 'DECLINED', 'LAPSED')),
            days         bigint      NOT NULL CHECK (days >= 0),
            fee          bigint      NOT NULL CHECK (fee >= 0),
            approver     text        NOT NULL CHECK (approver IN ('AUTO', 'MERCHANT', 'PLATFORM')),
            until        timestamptz NOT NULL,
            content      text        NOT NULL,
            PRIMARY KEY (buyer_id, extension_id)
        ) WITH (fillfactor = 70);
        CREATE INDEX extension_live ON extension (buyer_id) WHERE status IN ('REQUESTED');
        CREATE UNIQUE INDEX extension_granted_once ON extension (buyer_id, bill_id) WHERE status = 'GRANTED';

        -- Money that was paid outside, and money a bank took back.
        ALTER TABLE repayment
            ADD COLUMN order_ids     jsonb  NOT NULL DEFAULT '[]',
            ADD COLUMN bill_ids      jsonb  NOT NULL DEFAULT '[]',
            ADD COLUMN waive_fee_ids jsonb  NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(waive_fee_ids) = 'array'),
            ADD COLUMN reversed      bigint NOT NULL DEFAULT 0,
            DROP CONSTRAINT repayment_mode_check,
            ADD CONSTRAINT repayment_mode_check CHECK (mode IN ('MANUAL', 'AUTO', 'EXTERNAL')),
            ADD CONSTRAINT repayment_reversed_check CHECK (reversed BETWEEN 0 AND amount),
            ADD CONSTRAINT repayment_reversed_when_all_went_back CHECK ((status = 'REVERSED') = (reversed = amount));
        UPDATE repayment SET
            order_ids = jsonb_build_array(coalesce(order_id, substr(bill_id, 3))),
            bill_ids = jsonb_build_array(coalesce(bill_id, 'b:' || order_id));
        ALTER TABLE repayment
            ALTER COLUMN order_ids DROP DEFAULT,
            ALTER COLUMN bill_ids DROP DEFAULT,
            ADD CONSTRAINT repayment_was_meant_for_something CHECK (
                jsonb_array_length(order_ids) >= 1 AND jsonb_array_length(bill_ids) >= 1
            );
        CREATE TABLE reversal (
            buyer_id     text   NOT NULL,
            reversal_id  text   NOT NULL,
            repayment_id text   NOT NULL,
            currency     text   NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
            amount       bigint NOT NULL CHECK (amount > 0),
            reason       text   NOT NULL,
            undone       jsonb  NOT NULL CHECK (jsonb_array_length(undone) >= 1),
            content      text   NOT NULL,
            PRIMARY KEY (buyer_id, reversal_id)
        );

        -- What happened, for the reader of the journal; the three facts there were, by the accounts they alone move.
        ALTER TABLE journal
            ADD COLUMN fact text NOT NULL DEFAULT 'PLAN_OPENED';
        ALTER TABLE journal DISABLE TRIGGER journal_is_append_only;
        UPDATE journal SET fact = CASE
            WHEN EXISTS (SELECT 1 FROM journal AS other WHERE other.cause_id = journal.cause_id
                         AND other.account = '2000' AND other.credit > 0) THEN 'PLAN_OPENED'
            WHEN EXISTS (SELECT 1 FROM journal AS other WHERE other.cause_id = journal.cause_id
                         AND other.account = '2000' AND other.debit > 0) THEN 'REFUND'
            WHEN EXISTS (SELECT 1 FROM journal AS other WHERE other.cause_id = journal.cause_id
                         AND other.account IN ('1100', '1110')) THEN 'REPAYMENT'
            ELSE 'PAYOUT'
        END;
        ALTER TABLE journal ENABLE TRIGGER journal_is_append_only;
        ALTER TABLE journal
            ALTER COLUMN fact DROP DEFAULT,
            ADD CONSTRAINT journal_fact_check CHECK (fact IN (
                'PLAN_OPENED', 'LATE_FEE_ASSESSED', 'EXTENSION_GRANTED', 'REPAYMENT', 'REPAYMENT_REVERSED',
                'FEE_REVERSED', 'REFUND', 'PAYOUT', 'CHARGE_OFF'));

        -- The journal: the service may add and read, nothing else, and what one message adds sums to zero.
        CREATE FUNCTION journal_sums_to_zero() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE
            unbalanced text;
        BEGIN
            SELECT cause_id INTO unbalanced FROM added
            GROUP BY buyer_id, cause_id, currency HAVING sum(debit) <> sum(credit) LIMIT 1;
            IF FOUND THEN
                RAISE EXCEPTION 'the postings of % do not sum to zero', unbalanced USING ERRCODE = 'check_violation';
            END IF;
            RETURN NULL;
        END $$;
        CREATE TRIGGER journal_sums_to_zero AFTER INSERT ON journal REFERENCING NEW TABLE AS added
            FOR EACH STATEMENT EXECUTE FUNCTION journal_sums_to_zero();
        REVOKE ALL ON journal FROM CURRENT_USER;
        GRANT SELECT, INSERT ON journal TO CURRENT_USER;
    """)
