-- AlterTable
ALTER TABLE "agents" ADD COLUMN     "context_policy" JSONB,
ADD COLUMN     "memory_tools" BOOLEAN NOT NULL DEFAULT false;

-- AlterTable
ALTER TABLE "sessions" ADD COLUMN     "context_policy" JSONB;

-- AlterTable
ALTER TABLE "runs" ADD COLUMN     "context_policy" JSONB;

-- AlterTable
ALTER TABLE "templates" ADD COLUMN     "context_policy" JSONB;

-- CreateTable
CREATE TABLE "summaries" (
    "tenant_id" UUID NOT NULL,
    "session_id" UUID NOT NULL,
    "content" TEXT NOT NULL,
    "through_seq" INTEGER NOT NULL,
    "model" TEXT NOT NULL,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "summaries_pkey" PRIMARY KEY ("tenant_id","session_id")
);

-- AddForeignKey
ALTER TABLE "summaries" ADD CONSTRAINT "summaries_tenant_id_session_id_fkey" FOREIGN KEY ("tenant_id", "session_id") REFERENCES "sessions"("tenant_id", "id") ON DELETE CASCADE ON UPDATE CASCADE;
-- From here on by hand: what the schema language cannot say.

ALTER TABLE "agents" ADD CONSTRAINT "agents_context_policy_check" CHECK (jsonb_typeof("context_policy") = 'object');
ALTER TABLE "sessions" ADD CONSTRAINT "sessions_context_policy_check" CHECK (jsonb_typeof("context_policy") = 'object');
ALTER TABLE "templates" ADD CONSTRAINT "templates_context_policy_check" CHECK (jsonb_typeof("context_policy") = 'object');
ALTER TABLE "runs" ADD CONSTRAINT "runs_context_policy_check" CHECK (jsonb_typeof("context_policy") = 'object');
ALTER TABLE "summaries" ADD CONSTRAINT "summaries_through_seq_check" CHECK ("through_seq" > 0);

ALTER TABLE "summaries" ENABLE ROW LEVEL SECURITY;
ALTER TABLE "summaries" FORCE ROW LEVEL SECURITY;
CREATE POLICY own_tenant ON "summaries" TO parley_app
    USING (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
    WITH CHECK (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
CREATE POLICY every_tenant ON "summaries" TO parley_system USING (true) WITH CHECK (true);
