-- CreateEnum
CREATE TYPE "UserRole" AS ENUM ('USER', 'ADMIN', 'SERVICE');

-- CreateEnum
CREATE TYPE "ParticipantRole" AS ENUM ('OWNER', 'EDITOR', 'VIEWER');

-- CreateEnum
CREATE TYPE "TitleSource" AS ENUM ('FIRST_MESSAGE', 'MODEL', 'PERSON');

-- CreateEnum
CREATE TYPE "MessageRole" AS ENUM ('USER', 'ASSISTANT', 'SYSTEM', 'TOOL');

-- CreateEnum
CREATE TYPE "MessageStatus" AS ENUM ('STREAMING', 'COMPLETE', 'CANCELLED', 'FAILED', 'INTERRUPTED');

-- CreateEnum
CREATE TYPE "FinishReason" AS ENUM ('STOP', 'LENGTH', 'TOOL_CALLS', 'CONTENT_FILTER', 'CANCELLED', 'ERROR', 'OTHER');

-- CreateEnum
CREATE TYPE "RunStatus" AS ENUM ('QUEUED', 'RUNNING', 'REQUIRES_ACTION', 'COMPLETED', 'FAILED', 'CANCELLED', 'INTERRUPTED');

-- CreateTable
CREATE TABLE "tenants" (
    "id" UUID NOT NULL,
    "slug" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "tenants_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "users" (
    "tenant_id" UUID NOT NULL,
    "id" UUID NOT NULL,
    "external_id" TEXT NOT NULL,
    "name" TEXT,
    "email" TEXT,
    "role" "UserRole" NOT NULL DEFAULT 'USER',
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "users_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "agents" (
    "tenant_id" UUID NOT NULL,
    "id" UUID NOT NULL,
    "key" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "description" TEXT,
    "model" TEXT,
    "system_prompt" TEXT,
    "parameters" JSONB NOT NULL DEFAULT '{}',
    "tools" JSONB NOT NULL DEFAULT '[]',
    "max_active_sessions_per_user" INTEGER,
    "is_active" BOOLEAN NOT NULL DEFAULT true,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "agents_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "sessions" (
    "tenant_id" UUID NOT NULL,
    "id" UUID NOT NULL,
    "user_id" UUID NOT NULL,
    "agent_id" UUID,
    "title" TEXT,
    "title_source" "TitleSource",
    "model" TEXT,
    "system_prompt" TEXT,
    "parameters" JSONB NOT NULL DEFAULT '{}',
    "metadata" JSONB NOT NULL DEFAULT '{}',
    "tags" TEXT[] DEFAULT ARRAY[]::TEXT[],
    "is_active" BOOLEAN NOT NULL DEFAULT true,
    "deleted_at" TIMESTAMPTZ(3),
    "last_message_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "message_count" INTEGER NOT NULL DEFAULT 0,
    "last_seq" INTEGER NOT NULL DEFAULT 0,
    "revision" INTEGER NOT NULL DEFAULT 0,
    "parent_id" UUID,
    "forked_at_seq" INTEGER,
    "client_id" TEXT,
    "client_digest" TEXT,
    "input_tokens" INTEGER NOT NULL DEFAULT 0,
    "output_tokens" INTEGER NOT NULL DEFAULT 0,
    "cost" DECIMAL(18,9) NOT NULL DEFAULT 0,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "sessions_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "participants" (
    "tenant_id" UUID NOT NULL,
    "session_id" UUID NOT NULL,
    "user_id" UUID NOT NULL,
    "role" "ParticipantRole" NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "participants_pkey" PRIMARY KEY ("tenant_id","session_id","user_id")
);

-- CreateTable
CREATE TABLE "messages" (
    "tenant_id" UUID NOT NULL,
    "id" UUID NOT NULL,
    "session_id" UUID NOT NULL,
    "seq" INTEGER NOT NULL,
    "role" "MessageRole" NOT NULL,
    "content" TEXT,
    "tool_calls" JSONB NOT NULL DEFAULT '[]',
    "tool_call_id" TEXT,
    "agent_id" UUID,
    "author_id" UUID,
    "run_id" UUID,
    "status" "MessageStatus" NOT NULL DEFAULT 'COMPLETE',
    "finish_reason" "FinishReason",
    "model" TEXT,
    "input_tokens" INTEGER,
    "output_tokens" INTEGER,
    "cost" DECIMAL(18,9),
    "metadata" JSONB NOT NULL DEFAULT '{}',
    "client_id" TEXT,
    "client_digest" TEXT,
    "edited_at" TIMESTAMPTZ(3),
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "messages_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "runs" (
    "tenant_id" UUID NOT NULL,
    "id" UUID NOT NULL,
    "session_id" UUID NOT NULL,
    "user_id" UUID NOT NULL,
    "status" "RunStatus" NOT NULL DEFAULT 'QUEUED',
    "model" TEXT NOT NULL,
    "parameters" JSONB NOT NULL DEFAULT '{}',
    "user_message_id" UUID NOT NULL,
    "assistant_message_id" UUID NOT NULL,
    "error_code" TEXT,
    "error_message" TEXT,
    "input_tokens" INTEGER NOT NULL DEFAULT 0,
    "output_tokens" INTEGER NOT NULL DEFAULT 0,
    "cached_input_tokens" INTEGER NOT NULL DEFAULT 0,
    "cost" DECIMAL(18,9) NOT NULL DEFAULT 0,
    "queued_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "started_at" TIMESTAMPTZ(3),
    "first_token_at" TIMESTAMPTZ(3),
    "finished_at" TIMESTAMPTZ(3),
    "cancel_requested_at" TIMESTAMPTZ(3),
    "node_id" TEXT,
    "lease_until" TIMESTAMPTZ(3),
    "attempt" INTEGER NOT NULL DEFAULT 0,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "runs_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateIndex
CREATE UNIQUE INDEX "tenants_slug_key" ON "tenants"("slug");

-- CreateIndex
CREATE UNIQUE INDEX "users_tenant_id_external_id_key" ON "users"("tenant_id", "external_id");

-- CreateIndex
CREATE UNIQUE INDEX "agents_tenant_id_key_key" ON "agents"("tenant_id", "key");

-- CreateIndex
CREATE INDEX "sessions_tenant_id_user_id_last_message_at_id_idx" ON "sessions"("tenant_id", "user_id", "last_message_at" DESC, "id" DESC);

-- CreateIndex
CREATE INDEX "sessions_tenant_id_user_id_agent_id_is_active_last_message__idx" ON "sessions"("tenant_id", "user_id", "agent_id", "is_active", "last_message_at");

-- CreateIndex
CREATE INDEX "sessions_tenant_id_last_message_at_id_idx" ON "sessions"("tenant_id", "last_message_at" DESC, "id" DESC);

-- CreateIndex
CREATE INDEX "sessions_tenant_id_updated_at_id_idx" ON "sessions"("tenant_id", "updated_at" DESC, "id" DESC);

-- CreateIndex
CREATE INDEX "sessions_tenant_id_created_at_id_idx" ON "sessions"("tenant_id", "created_at" DESC, "id" DESC);

-- CreateIndex
CREATE INDEX "sessions_tenant_id_message_count_id_idx" ON "sessions"("tenant_id", "message_count" DESC, "id" DESC);

-- CreateIndex
CREATE INDEX "sessions_tenant_id_title_id_idx" ON "sessions"("tenant_id", "title", "id");

-- CreateIndex
CREATE INDEX "sessions_tenant_id_agent_id_last_message_at_id_idx" ON "sessions"("tenant_id", "agent_id", "last_message_at" DESC, "id" DESC);

-- CreateIndex
CREATE INDEX "sessions_tenant_id_parent_id_idx" ON "sessions"("tenant_id", "parent_id");

-- CreateIndex
CREATE INDEX "sessions_metadata_idx" ON "sessions" USING GIN ("metadata" jsonb_path_ops);

-- CreateIndex
CREATE INDEX "sessions_tags_idx" ON "sessions" USING GIN ("tags");

-- CreateIndex
CREATE UNIQUE INDEX "sessions_tenant_id_user_id_client_id_key" ON "sessions"("tenant_id", "user_id", "client_id");

-- CreateIndex
CREATE INDEX "participants_tenant_id_user_id_session_id_idx" ON "participants"("tenant_id", "user_id", "session_id");

-- CreateIndex
CREATE INDEX "messages_tenant_id_run_id_idx" ON "messages"("tenant_id", "run_id");

-- CreateIndex
CREATE UNIQUE INDEX "messages_tenant_id_session_id_seq_key" ON "messages"("tenant_id", "session_id", "seq");

-- CreateIndex
CREATE UNIQUE INDEX "messages_tenant_id_session_id_client_id_key" ON "messages"("tenant_id", "session_id", "client_id");

-- CreateIndex
CREATE INDEX "runs_tenant_id_session_id_id_idx" ON "runs"("tenant_id", "session_id", "id");

-- CreateIndex
CREATE INDEX "runs_tenant_id_user_message_id_idx" ON "runs"("tenant_id", "user_message_id");

-- CreateIndex
CREATE INDEX "runs_tenant_id_assistant_message_id_idx" ON "runs"("tenant_id", "assistant_message_id");

-- CreateIndex
CREATE INDEX "runs_status_lease_until_idx" ON "runs"("status", "lease_until");

-- AddForeignKey
ALTER TABLE "users" ADD CONSTRAINT "users_tenant_id_fkey" FOREIGN KEY ("tenant_id") REFERENCES "tenants"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "agents" ADD CONSTRAINT "agents_tenant_id_fkey" FOREIGN KEY ("tenant_id") REFERENCES "tenants"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "sessions" ADD CONSTRAINT "sessions_tenant_id_fkey" FOREIGN KEY ("tenant_id") REFERENCES "tenants"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "sessions" ADD CONSTRAINT "sessions_tenant_id_user_id_fkey" FOREIGN KEY ("tenant_id", "user_id") REFERENCES "users"("tenant_id", "id") ON DELETE NO ACTION ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "sessions" ADD CONSTRAINT "sessions_tenant_id_agent_id_fkey" FOREIGN KEY ("tenant_id", "agent_id") REFERENCES "agents"("tenant_id", "id") ON DELETE NO ACTION ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "sessions" ADD CONSTRAINT "sessions_tenant_id_parent_id_fkey" FOREIGN KEY ("tenant_id", "parent_id") REFERENCES "sessions"("tenant_id", "id") ON DELETE NO ACTION ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "participants" ADD CONSTRAINT "participants_tenant_id_session_id_fkey" FOREIGN KEY ("tenant_id", "session_id") REFERENCES "sessions"("tenant_id", "id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "participants" ADD CONSTRAINT "participants_tenant_id_user_id_fkey" FOREIGN KEY ("tenant_id", "user_id") REFERENCES "users"("tenant_id", "id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "messages" ADD CONSTRAINT "messages_tenant_id_session_id_fkey" FOREIGN KEY ("tenant_id", "session_id") REFERENCES "sessions"("tenant_id", "id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "messages" ADD CONSTRAINT "messages_tenant_id_agent_id_fkey" FOREIGN KEY ("tenant_id", "agent_id") REFERENCES "agents"("tenant_id", "id") ON DELETE NO ACTION ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "messages" ADD CONSTRAINT "messages_tenant_id_author_id_fkey" FOREIGN KEY ("tenant_id", "author_id") REFERENCES "users"("tenant_id", "id") ON DELETE NO ACTION ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "messages" ADD CONSTRAINT "messages_tenant_id_run_id_fkey" FOREIGN KEY ("tenant_id", "run_id") REFERENCES "runs"("tenant_id", "id") ON DELETE NO ACTION ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "runs" ADD CONSTRAINT "runs_tenant_id_session_id_fkey" FOREIGN KEY ("tenant_id", "session_id") REFERENCES "sessions"("tenant_id", "id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "runs" ADD CONSTRAINT "runs_tenant_id_user_id_fkey" FOREIGN KEY ("tenant_id", "user_id") REFERENCES "users"("tenant_id", "id") ON DELETE NO ACTION ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "runs" ADD CONSTRAINT "runs_tenant_id_user_message_id_fkey" FOREIGN KEY ("tenant_id", "user_message_id") REFERENCES "messages"("tenant_id", "id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "runs" ADD CONSTRAINT "runs_tenant_id_assistant_message_id_fkey" FOREIGN KEY ("tenant_id", "assistant_message_id") REFERENCES "messages"("tenant_id", "id") ON DELETE CASCADE ON UPDATE CASCADE;

-- From here on by hand: what the schema language cannot say.

-- A run names its two messages and its messages name the run: whichever is stored first, the check waits for the commit.
ALTER TABLE "messages" ALTER CONSTRAINT "messages_tenant_id_run_id_fkey" DEFERRABLE INITIALLY DEFERRED;

-- Checked at once as a rule; whoever erases a person or a tenant may put the checks off to the commit.
ALTER TABLE "sessions"
    ALTER CONSTRAINT "sessions_tenant_id_user_id_fkey" DEFERRABLE,
    ALTER CONSTRAINT "sessions_tenant_id_agent_id_fkey" DEFERRABLE,
    ALTER CONSTRAINT "sessions_tenant_id_parent_id_fkey" DEFERRABLE;
ALTER TABLE "messages"
    ALTER CONSTRAINT "messages_tenant_id_agent_id_fkey" DEFERRABLE,
    ALTER CONSTRAINT "messages_tenant_id_author_id_fkey" DEFERRABLE;
ALTER TABLE "runs"
    ALTER CONSTRAINT "runs_tenant_id_user_id_fkey" DEFERRABLE;

-- One run at a time per session, and the queue that runs are claimed from.
CREATE UNIQUE INDEX "runs_one_active_per_session" ON "runs"("tenant_id", "session_id") WHERE "status" IN ('RUNNING', 'REQUIRES_ACTION');
CREATE INDEX "runs_queue" ON "runs"("id") WHERE "status" = 'QUEUED';

ALTER TABLE "agents"
    ADD CONSTRAINT "agents_parameters_check" CHECK (jsonb_typeof("parameters") = 'object'),
    ADD CONSTRAINT "agents_tools_check" CHECK (jsonb_typeof("tools") = 'array'),
    ADD CONSTRAINT "agents_max_active_sessions_per_user_check" CHECK ("max_active_sessions_per_user" > 0);
ALTER TABLE "sessions"
    ADD CONSTRAINT "sessions_parameters_check" CHECK (jsonb_typeof("parameters") = 'object'),
    ADD CONSTRAINT "sessions_metadata_check" CHECK (jsonb_typeof("metadata") = 'object'),
    ADD CONSTRAINT "sessions_counters_check" CHECK ("message_count" >= 0 AND "last_seq" >= 0 AND "revision" >= 0 AND "forked_at_seq" >= 0),
    ADD CONSTRAINT "sessions_usage_check" CHECK ("input_tokens" >= 0 AND "output_tokens" >= 0 AND "cost" >= 0);
ALTER TABLE "messages"
    ADD CONSTRAINT "messages_seq_check" CHECK ("seq" > 0),
    ADD CONSTRAINT "messages_tool_calls_check" CHECK (jsonb_typeof("tool_calls") = 'array'),
    ADD CONSTRAINT "messages_metadata_check" CHECK (jsonb_typeof("metadata") = 'object'),
    ADD CONSTRAINT "messages_usage_check" CHECK ("input_tokens" >= 0 AND "output_tokens" >= 0 AND "cost" >= 0);
ALTER TABLE "runs"
    ADD CONSTRAINT "runs_parameters_check" CHECK (jsonb_typeof("parameters") = 'object'),
    ADD CONSTRAINT "runs_attempt_check" CHECK ("attempt" >= 0),
    ADD CONSTRAINT "runs_usage_check" CHECK ("input_tokens" >= 0 AND "output_tokens" >= 0 AND "cached_input_tokens" >= 0 AND "cost" >= 0);

-- Two roles, neither of which owns anything or bypasses row-level security: parley_app sees the rows of the tenant in
-- the setting app.tenant and none without it; parley_system sees every tenant's (to claim runs, to find a tenant).
DO $$
DECLARE
    role_name text;
    membership text := CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END;
BEGIN
    -- Roles belong to the whole cluster: another database may be migrated, and do the same, at the same moment.
    FOREACH role_name IN ARRAY ARRAY['parley_app', 'parley_system'] LOOP
        BEGIN
            IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role_name) THEN
                EXECUTE format('CREATE ROLE %I NOLOGIN', role_name);
            END IF;
        EXCEPTION
            WHEN duplicate_object OR unique_violation THEN NULL;
        END;
        BEGIN
            IF NOT pg_has_role(current_user, role_name, membership) THEN
                EXECUTE format('GRANT %I TO CURRENT_USER', role_name);
            END IF;
        EXCEPTION
            WHEN unique_violation THEN NULL;
        END;
    END LOOP;
EXCEPTION
    WHEN insufficient_privilege THEN
        RAISE EXCEPTION USING MESSAGE = format(
            'the user %I may not set up the roles parley_app and parley_system. Ask an administrator to run the '
            'following (without a CREATE for a role that is there already) and migrate again: '
            'CREATE ROLE parley_app NOLOGIN; CREATE ROLE parley_system NOLOGIN; GRANT parley_app, parley_system TO %1$I;',
            current_user);
END
$$;

-- For tables of later migrations, too; _prisma_migrations is older than this line and stays out of reach.
GRANT USAGE ON SCHEMA "public" TO parley_app, parley_system;
GRANT SELECT, INSERT, UPDATE, DELETE ON "tenants", "users", "agents", "sessions", "participants", "messages", "runs" TO parley_app, parley_system;
ALTER DEFAULT PRIVILEGES IN SCHEMA "public" GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO parley_app, parley_system;

-- Forced, so that it binds the tables' owner as well. An unset and an empty setting both mean: no tenant, no rows.
DO $$
DECLARE
    table_name text;
    own_rows text;
BEGIN
    FOREACH table_name IN ARRAY ARRAY['tenants', 'users', 'agents', 'sessions', 'participants', 'messages', 'runs'] LOOP
        own_rows := format('%I = nullif(current_setting(''app.tenant'', true), '''')::uuid',
            CASE table_name WHEN 'tenants' THEN 'id' ELSE 'tenant_id' END);
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', table_name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', table_name);
        EXECUTE format('CREATE POLICY own_tenant ON %I TO parley_app USING (%s) WITH CHECK (%2$s)', table_name, own_rows);
        EXECUTE format('CREATE POLICY every_tenant ON %I TO parley_system USING (true) WITH CHECK (true)', table_name);
    END LOOP;
END
$$;
