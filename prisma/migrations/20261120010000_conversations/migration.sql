-- AlterTable
ALTER TABLE "sessions" ADD COLUMN     "cached_input_tokens" INTEGER NOT NULL DEFAULT 0,
ADD COLUMN     "key" TEXT,
ADD COLUMN     "run_count" INTEGER NOT NULL DEFAULT 0,
ADD COLUMN     "template_id" UUID;

-- AlterTable
ALTER TABLE "messages" ADD COLUMN     "replaced_at" TIMESTAMPTZ(3),
ADD COLUMN     "replaces_id" UUID;

-- AlterTable
ALTER TABLE "tenants" ADD COLUMN     "link_key" BYTEA NOT NULL DEFAULT (uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()));

-- CreateTable
CREATE TABLE "read_marks" (
    "tenant_id" UUID NOT NULL,
    "session_id" UUID NOT NULL,
    "user_id" UUID NOT NULL,
    "last_read_seq" INTEGER NOT NULL,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "read_marks_pkey" PRIMARY KEY ("tenant_id","session_id","user_id")
);

-- CreateTable
CREATE TABLE "templates" (
    "tenant_id" UUID NOT NULL,
    "id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "title" TEXT,
    "agent_id" UUID,
    "model" TEXT,
    "system_prompt" TEXT,
    "opening_messages" JSONB NOT NULL DEFAULT '[]',
    "parameters" JSONB NOT NULL DEFAULT '{}',
    "metadata" JSONB NOT NULL DEFAULT '{}',
    "author_id" UUID NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "templates_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "usage_records" (
    "tenant_id" UUID NOT NULL,
    "run_id" UUID NOT NULL,
    "user_id" UUID NOT NULL,
    "session_id" UUID NOT NULL,
    "agent_id" UUID,
    "model" TEXT NOT NULL,
    "status" "RunStatus" NOT NULL,
    "input_tokens" INTEGER NOT NULL,
    "output_tokens" INTEGER NOT NULL,
    "cached_input_tokens" INTEGER NOT NULL,
    "cost" DECIMAL(18,9) NOT NULL,
    "time_to_first_token_ms" INTEGER,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "usage_records_pkey" PRIMARY KEY ("tenant_id","run_id")
);

-- CreateIndex
CREATE INDEX "read_marks_tenant_id_user_id_idx" ON "read_marks"("tenant_id", "user_id");

-- CreateIndex
CREATE UNIQUE INDEX "templates_tenant_id_name_key" ON "templates"("tenant_id", "name");

-- CreateIndex
CREATE INDEX "usage_records_tenant_id_created_at_idx" ON "usage_records"("tenant_id", "created_at");

-- CreateIndex
CREATE INDEX "usage_records_tenant_id_user_id_created_at_idx" ON "usage_records"("tenant_id", "user_id", "created_at");

-- CreateIndex
CREATE INDEX "usage_records_tenant_id_session_id_idx" ON "usage_records"("tenant_id", "session_id");

-- CreateIndex
CREATE INDEX "sessions_tenant_id_deleted_at_idx" ON "sessions"("tenant_id", "deleted_at");

-- CreateIndex
CREATE UNIQUE INDEX "sessions_tenant_id_user_id_key_key" ON "sessions"("tenant_id", "user_id", "key");

-- CreateIndex
CREATE UNIQUE INDEX "messages_tenant_id_replaces_id_key" ON "messages"("tenant_id", "replaces_id");

-- CreateIndex
CREATE INDEX "messages_tenant_id_created_at_idx" ON "messages"("tenant_id", "created_at");

-- CreateIndex
CREATE INDEX "runs_tenant_id_user_id_idx" ON "runs"("tenant_id", "user_id");

-- AddForeignKey
ALTER TABLE "sessions" ADD CONSTRAINT "sessions_tenant_id_template_id_fkey" FOREIGN KEY ("tenant_id", "template_id") REFERENCES "templates"("tenant_id", "id") ON DELETE NO ACTION ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "messages" ADD CONSTRAINT "messages_tenant_id_replaces_id_fkey" FOREIGN KEY ("tenant_id", "replaces_id") REFERENCES "messages"("tenant_id", "id") ON DELETE NO ACTION ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "read_marks" ADD CONSTRAINT "read_marks_tenant_id_session_id_fkey" FOREIGN KEY ("tenant_id", "session_id") REFERENCES "sessions"("tenant_id", "id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "read_marks" ADD CONSTRAINT "read_marks_tenant_id_user_id_fkey" FOREIGN KEY ("tenant_id", "user_id") REFERENCES "users"("tenant_id", "id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "templates" ADD CONSTRAINT "templates_tenant_id_fkey" FOREIGN KEY ("tenant_id") REFERENCES "tenants"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "templates" ADD CONSTRAINT "templates_tenant_id_agent_id_fkey" FOREIGN KEY ("tenant_id", "agent_id") REFERENCES "agents"("tenant_id", "id") ON DELETE NO ACTION ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "templates" ADD CONSTRAINT "templates_tenant_id_author_id_fkey" FOREIGN KEY ("tenant_id", "author_id") REFERENCES "users"("tenant_id", "id") ON DELETE NO ACTION ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "usage_records" ADD CONSTRAINT "usage_records_tenant_id_fkey" FOREIGN KEY ("tenant_id") REFERENCES "tenants"("id") ON DELETE CASCADE ON UPDATE CASCADE;
-- From here on by hand: what the schema language cannot say.

-- Checked at once as a rule; whoever erases a person or a tenant may put the checks off to the commit.
ALTER TABLE "sessions" ALTER CONSTRAINT "sessions_tenant_id_template_id_fkey" DEFERRABLE;
ALTER TABLE "messages" ALTER CONSTRAINT "messages_tenant_id_replaces_id_fkey" DEFERRABLE;
ALTER TABLE "templates"
    ALTER CONSTRAINT "templates_tenant_id_agent_id_fkey" DEFERRABLE,
    ALTER CONSTRAINT "templates_tenant_id_author_id_fkey" DEFERRABLE;

-- Titles from the last to the first, those without one at the end: an order that the schema language cannot say.
CREATE INDEX "sessions_title_down" ON "sessions"("tenant_id", "title" DESC NULLS LAST, "id" DESC) WHERE "deleted_at" IS NULL;

-- What retention looks for, in all tenants.
CREATE INDEX "sessions_active_by_update" ON "sessions"("updated_at") WHERE "is_active" AND "deleted_at" IS NULL;
CREATE INDEX "sessions_deleted" ON "sessions"("deleted_at") WHERE "deleted_at" IS NOT NULL;

-- What the erasure of a person looks for, and the foreign keys that it must satisfy.
CREATE INDEX "messages_author" ON "messages"("tenant_id", "author_id") WHERE "author_id" IS NOT NULL;
CREATE INDEX "sessions_template" ON "sessions"("tenant_id", "template_id") WHERE "template_id" IS NOT NULL;

ALTER TABLE "sessions" ADD CONSTRAINT "sessions_runs_check" CHECK ("cached_input_tokens" >= 0 AND "run_count" >= 0);
ALTER TABLE "read_marks" ADD CONSTRAINT "read_marks_last_read_seq_check" CHECK ("last_read_seq" >= 0);
ALTER TABLE "templates"
    ADD CONSTRAINT "templates_parameters_check" CHECK (jsonb_typeof("parameters") = 'object'),
    ADD CONSTRAINT "templates_metadata_check" CHECK (jsonb_typeof("metadata") = 'object'),
    ADD CONSTRAINT "templates_opening_messages_check" CHECK (jsonb_typeof("opening_messages") = 'array');
ALTER TABLE "usage_records"
    ADD CONSTRAINT "usage_records_usage_check" CHECK ("input_tokens" >= 0 AND "output_tokens" >= 0 AND "cached_input_tokens" >= 0 AND "cost" >= 0);

DO $$
DECLARE
    table_name text;
    own_rows text := 'tenant_id = nullif(current_setting(''app.tenant'', true), '''')::uuid';
BEGIN
    FOREACH table_name IN ARRAY ARRAY['read_marks', 'templates', 'usage_records'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', table_name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', table_name);
        EXECUTE format('CREATE POLICY own_tenant ON %I TO parley_app USING (%s) WITH CHECK (%2$s)', table_name, own_rows);
        EXECUTE format('CREATE POLICY every_tenant ON %I TO parley_system USING (true) WITH CHECK (true)', table_name);
    END LOOP;
END
$$;

-- Full-text search cuts text into words as this configuration says; its comment names the language it is a copy of.
CREATE TEXT SEARCH CONFIGURATION "parley" (COPY = pg_catalog.simple);
COMMENT ON TEXT SEARCH CONFIGURATION "parley" IS 'simple';

-- With the tenant in the index, what a search costs depends on that tenant's messages alone. The extension that this
-- takes comes with PostgreSQL, but who may not create it goes without. A reply is indexed when it has ended. The words of
-- a whole message may be more than PostgreSQL holds in one value, which would keep it from being stored.
DO $$
DECLARE
    tenant text := '"tenant_id", ';
BEGIN
    BEGIN
        CREATE EXTENSION IF NOT EXISTS btree_gin;
    EXCEPTION
        WHEN insufficient_privilege OR undefined_file OR feature_not_supported THEN tenant := '';
    END;
    EXECUTE format('CREATE INDEX "messages_search" ON "messages" USING GIN (%sto_tsvector(''public.parley'', left("content", 50000)))
        WHERE "replaced_at" IS NULL AND "status" <> ''STREAMING''', tenant);
    EXECUTE format('CREATE INDEX "sessions_search" ON "sessions" USING GIN (%sto_tsvector(''public.parley'', "title"))
        WHERE "deleted_at" IS NULL', tenant);
END
$$;
