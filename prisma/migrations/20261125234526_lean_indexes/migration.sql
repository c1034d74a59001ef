-- Every message changes the row of its session, and with it every index that the row is in. What few rows need holds
-- only those; what lists a user's sessions holds just what it lists, so that they are counted without being read.

-- DropIndex
DROP INDEX "sessions_tenant_id_user_id_last_message_at_id_idx";

-- DropIndex
DROP INDEX "sessions_tenant_id_user_id_agent_id_is_active_last_message__idx";

-- DropIndex
DROP INDEX "sessions_tenant_id_parent_id_idx";

-- DropIndex
DROP INDEX "sessions_tenant_id_deleted_at_idx";

-- DropIndex
DROP INDEX "sessions_metadata_idx";

-- DropIndex
DROP INDEX "sessions_tags_idx";

-- DropIndex
DROP INDEX "sessions_tenant_id_user_id_client_id_key";

-- DropIndex
DROP INDEX "messages_tenant_id_run_id_idx";

-- DropIndex
DROP INDEX "messages_tenant_id_session_id_client_id_key";

-- CreateIndex
CREATE INDEX "sessions_metadata_tags_idx" ON "sessions" USING GIN ("metadata" jsonb_path_ops, "tags");

-- From here on by hand: what the schema language cannot say.

CREATE INDEX "sessions_of_user" ON "sessions"("tenant_id", "user_id", "last_message_at" DESC, "id" DESC) WHERE "deleted_at" IS NULL;
CREATE INDEX "sessions_active_of_user" ON "sessions"("tenant_id", "user_id", "last_message_at") WHERE "is_active" AND "deleted_at" IS NULL;
CREATE INDEX "sessions_deleted_of_tenant" ON "sessions"("tenant_id", "last_message_at" DESC, "id" DESC) WHERE "deleted_at" IS NOT NULL;
CREATE INDEX "sessions_parent" ON "sessions"("tenant_id", "parent_id", "created_at" DESC, "id" DESC) WHERE "parent_id" IS NOT NULL;
CREATE UNIQUE INDEX "sessions_client_id" ON "sessions"("tenant_id", "user_id", "client_id") WHERE "client_id" IS NOT NULL;
CREATE UNIQUE INDEX "messages_client_id" ON "messages"("tenant_id", "session_id", "client_id") WHERE "client_id" IS NOT NULL;
CREATE INDEX "messages_run" ON "messages"("tenant_id", "run_id") WHERE "run_id" IS NOT NULL;
