-- AlterTable
ALTER TABLE "runs" ADD COLUMN     "action_expires_at" TIMESTAMPTZ(3),
ADD COLUMN     "has_begun" BOOLEAN NOT NULL DEFAULT false,
ADD COLUMN     "is_rolled_back" BOOLEAN NOT NULL DEFAULT false,
ADD COLUMN     "pending_tool_calls" JSONB NOT NULL DEFAULT '[]',
ADD COLUMN     "queue_rank" INTEGER NOT NULL DEFAULT 0,
ADD COLUMN     "tool_rounds" INTEGER NOT NULL DEFAULT 0;

-- Of those that are under way now nobody knows; none of them is to be begun anew.
UPDATE "runs" SET "has_begun" = true WHERE "status" = 'RUNNING';

ALTER TABLE "runs"
    ADD CONSTRAINT "runs_pending_tool_calls_check" CHECK (jsonb_typeof("pending_tool_calls") = 'array'),
    ADD CONSTRAINT "runs_tool_rounds_check" CHECK ("tool_rounds" >= 0);

-- Every send counts what is open in its session and what runs of its user and its tenant: none of that may cost more
-- with the number of runs that have ended.
DROP INDEX "runs_queue";
CREATE INDEX "runs_queue" ON "runs"("tenant_id", "user_id", "id") WHERE "status" = 'QUEUED';
CREATE INDEX "runs_open_of_session" ON "runs"("tenant_id", "session_id", "queue_rank", "id") WHERE "status" IN ('QUEUED', 'RUNNING', 'REQUIRES_ACTION');
CREATE INDEX "runs_running_of_user" ON "runs"("tenant_id", "user_id") WHERE "status" = 'RUNNING';
