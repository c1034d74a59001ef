-- AlterTable
ALTER TABLE "sessions" ADD COLUMN     "is_stateless" BOOLEAN NOT NULL DEFAULT false;

-- AlterTable
ALTER TABLE "runs" ADD COLUMN     "tools" JSONB;

-- From here on by hand: what the schema language cannot say.

ALTER TABLE "runs" ADD CONSTRAINT "runs_tools_check" CHECK ("tools" IS NULL OR jsonb_typeof("tools") = 'array');

-- The places of stateless runs are out of what lists sessions, and their keys are their own.
DROP INDEX "sessions_of_user";
CREATE INDEX "sessions_of_user" ON "sessions"("tenant_id", "user_id", "last_message_at" DESC, "id" DESC)
    WHERE "deleted_at" IS NULL AND NOT "is_stateless";
DROP INDEX "sessions_client_id";
CREATE UNIQUE INDEX "sessions_client_id" ON "sessions"("tenant_id", "user_id", "client_id")
    WHERE "client_id" IS NOT NULL AND NOT "is_stateless";
CREATE UNIQUE INDEX "sessions_stateless_client_id" ON "sessions"("tenant_id", "user_id", "client_id")
    WHERE "client_id" IS NOT NULL AND "is_stateless";

-- What retention looks for, in all tenants.
CREATE INDEX "sessions_stateless" ON "sessions"("updated_at") WHERE "is_stateless";
