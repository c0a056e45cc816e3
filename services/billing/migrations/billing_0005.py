"""The journal as people read it: an account's statement and the trial balance, and the indexes its readers go by."""

from alembic import op

revision = "billing_0005"
down_revision = "billing_0004"
branch_labels = None


def upgrade() -> None:
    op.execute("""
        -- A buyer's postings in their order: statements of account, what became of a bill, of a plan.
        CREATE INDEX journal_of_buyer ON journal (buyer_id, id);

        -- Where in the journal a day ends. Postings come nearly in the order of their time, so the first and the last
        -- time of each megabyte say it: a few kilobytes for a million postings, and nothing to keep in order.
        CREATE INDEX journal_by_time ON journal USING brin (posted_at) WITH (autosummarize = on);

        -- The chart of accounts in words, for people.
        CREATE VIEW ledger_account (account, name, kind) AS VALUES
            ('1000', 'Provider cash', 'ASSET'),
            ('1100', 'Principal receivable', 'ASSET'),
            ('1110', 'Fees receivable', 'ASSET'),
            ('1120', 'Late fees receivable', 'ASSET'),
            ('2000', 'Merchant payable', 'LIABILITY'),
            ('2100', 'Refunds payable', 'LIABILITY'),
            ('2200', 'Buyer credit balance', 'LIABILITY'),
            ('4000', 'Instalment fee income', 'INCOME'),
            ('4100', 'Late fee income', 'INCOME'),
            ('4200', 'Extension fee income', 'INCOME'),
            ('4900', 'Recoveries', 'INCOME'),
            ('5000', 'Credit loss', 'EXPENSE');

        -- What was posted about each buyer, and the balance of each account with the buyer after it.
        -- A buyer's statement: WHERE buyer_id = ... ORDER BY entry.
        CREATE VIEW account_statement AS
        SELECT journal.buyer_id, journal.id AS entry, journal.posted_at, journal.fact, journal.account, chart.name,
               journal.order_id, journal.bill_id, journal.merchant_id, journal.currency, journal.debit, journal.credit,
               (sum(journal.debit - journal.credit) OVER (
                   PARTITION BY journal.buyer_id, journal.account, journal.currency ORDER BY journal.id
               ))::bigint AS balance,
               journal.cause_id
        FROM journal JOIN ledger_account AS chart USING (account);

        -- The accounts at the end of a day of the tenant's zone: it folds the journal up to there, which takes the
        -- longer the more there is. The balance is debit - credit; those of a currency sum to zero.
        CREATE FUNCTION trial_balance_on(day date, zone text DEFAULT 'Asia/Shanghai')
        RETURNS TABLE (
            account text, name text, kind text, currency text, debit bigint, credit bigint, balance bigint
        ) LANGUAGE sql STABLE PARALLEL SAFE
        BEGIN ATOMIC
            SELECT chart.account, chart.name, chart.kind, folded.currency, folded.debit, folded.credit,
                   folded.debit - folded.credit
            FROM (
                SELECT posting.account, posting.currency, sum(posting.debit)::bigint, sum(posting.credit)::bigint
                FROM journal AS posting
                WHERE posting.posted_at < (day + 1)::timestamp AT TIME ZONE zone
                GROUP BY posting.account, posting.currency
            ) AS folded (account, currency, debit, credit)
            JOIN ledger_account AS chart ON chart.account = folded.account
            ORDER BY folded.currency, chart.account;
        END;

        -- The same with all that is posted.
        CREATE VIEW trial_balance AS SELECT * FROM trial_balance_on('infinity');
    """)
