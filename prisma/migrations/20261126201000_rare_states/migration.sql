-- Behind row-level security, which stands even where a policy lets everything pass, PostgreSQL may not ask its statistics how
-- many rows have one state: it takes each to be as common as any other, and so the few runs that are open to be a good part
-- of the table, which it then reads as a whole. Rows in one of so many states seem as rare as those that are looked for are.
ALTER TABLE "runs" ALTER COLUMN "status" SET (n_distinct = 10000);
ALTER TABLE "documents" ALTER COLUMN "status" SET (n_distinct = 10000);
ANALYZE "runs" ("status");
ANALYZE "documents" ("status");

-- Older versions of messages, which few conversations have: without it a long one is read to its end for them.
CREATE INDEX "messages_replaced" ON "messages"("tenant_id", "session_id", "seq") WHERE "replaced_at" IS NOT NULL;
