-- CreateEnum
CREATE TYPE "DocumentStatus" AS ENUM ('INDEXING', 'READY', 'FAILED');

-- AlterTable
ALTER TABLE "runs" ADD COLUMN     "document_ids" JSONB;

-- CreateTable
CREATE TABLE "documents" (
    "tenant_id" UUID NOT NULL,
    "id" UUID NOT NULL,
    "user_id" UUID NOT NULL,
    "title" TEXT NOT NULL,
    "mime_type" TEXT NOT NULL,
    "bytes" INTEGER NOT NULL,
    "status" "DocumentStatus" NOT NULL DEFAULT 'INDEXING',
    "error" TEXT,
    "progress" REAL NOT NULL DEFAULT 0,
    "chunk_count" INTEGER NOT NULL DEFAULT 0,
    "metadata" JSONB NOT NULL DEFAULT '{}',
    "version" INTEGER NOT NULL DEFAULT 1,
    "indexed_version" INTEGER,
    "embedding_model" TEXT,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "documents_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "document_contents" (
    "tenant_id" UUID NOT NULL,
    "document_id" UUID NOT NULL,
    "version" INTEGER NOT NULL,
    "content" BYTEA NOT NULL,

    CONSTRAINT "document_contents_pkey" PRIMARY KEY ("tenant_id","document_id")
);

-- CreateTable
CREATE TABLE "chunks" (
    "tenant_id" UUID NOT NULL,
    "id" UUID NOT NULL,
    "document_id" UUID NOT NULL,
    "version" INTEGER NOT NULL,
    "seq" INTEGER NOT NULL,
    "start_offset" INTEGER NOT NULL,
    "end_offset" INTEGER NOT NULL,
    "page" INTEGER,
    "heading" TEXT,
    "content" TEXT NOT NULL,
    "words" tsvector NOT NULL,
    "embedding" BYTEA,
    "embedding_model" TEXT,

    CONSTRAINT "chunks_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "session_documents" (
    "tenant_id" UUID NOT NULL,
    "session_id" UUID NOT NULL,
    "document_id" UUID NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "session_documents_pkey" PRIMARY KEY ("tenant_id","session_id","document_id")
);

-- CreateTable
CREATE TABLE "citations" (
    "tenant_id" UUID NOT NULL,
    "message_id" UUID NOT NULL,
    "marker" INTEGER NOT NULL,
    "document_id" UUID NOT NULL,
    "score" DOUBLE PRECISION NOT NULL,
    "page" INTEGER,
    "heading" TEXT,
    "start_offset" INTEGER NOT NULL,
    "end_offset" INTEGER NOT NULL,
    "content" TEXT NOT NULL,

    CONSTRAINT "citations_pkey" PRIMARY KEY ("tenant_id","message_id","marker")
);

-- CreateIndex
CREATE INDEX "documents_tenant_id_user_id_id_idx" ON "documents"("tenant_id", "user_id", "id" DESC);

-- CreateIndex
CREATE UNIQUE INDEX "chunks_tenant_id_document_id_version_seq_key" ON "chunks"("tenant_id", "document_id", "version", "seq");

-- CreateIndex
CREATE INDEX "session_documents_tenant_id_document_id_idx" ON "session_documents"("tenant_id", "document_id");

-- CreateIndex
CREATE INDEX "citations_tenant_id_document_id_idx" ON "citations"("tenant_id", "document_id");

-- AddForeignKey
ALTER TABLE "documents" ADD CONSTRAINT "documents_tenant_id_fkey" FOREIGN KEY ("tenant_id") REFERENCES "tenants"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "documents" ADD CONSTRAINT "documents_tenant_id_user_id_fkey" FOREIGN KEY ("tenant_id", "user_id") REFERENCES "users"("tenant_id", "id") ON DELETE NO ACTION ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "document_contents" ADD CONSTRAINT "document_contents_tenant_id_document_id_fkey" FOREIGN KEY ("tenant_id", "document_id") REFERENCES "documents"("tenant_id", "id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "chunks" ADD CONSTRAINT "chunks_tenant_id_document_id_fkey" FOREIGN KEY ("tenant_id", "document_id") REFERENCES "documents"("tenant_id", "id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "session_documents" ADD CONSTRAINT "session_documents_tenant_id_session_id_fkey" FOREIGN KEY ("tenant_id", "session_id") REFERENCES "sessions"("tenant_id", "id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "session_documents" ADD CONSTRAINT "session_documents_tenant_id_document_id_fkey" FOREIGN KEY ("tenant_id", "document_id") REFERENCES "documents"("tenant_id", "id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "citations" ADD CONSTRAINT "citations_tenant_id_message_id_fkey" FOREIGN KEY ("tenant_id", "message_id") REFERENCES "messages"("tenant_id", "id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "citations" ADD CONSTRAINT "citations_tenant_id_document_id_fkey" FOREIGN KEY ("tenant_id", "document_id") REFERENCES "documents"("tenant_id", "id") ON DELETE CASCADE ON UPDATE CASCADE;

-- From here on by hand: what the schema language cannot say.

ALTER TABLE "runs"
    ADD CONSTRAINT "runs_document_ids_check" CHECK (jsonb_typeof("document_ids") = 'array');

-- Checked at once as a rule; whoever erases a person or a tenant may put the checks off to the commit.
ALTER TABLE "documents" ALTER CONSTRAINT "documents_tenant_id_user_id_fkey" DEFERRABLE;

ALTER TABLE "documents"
    ADD CONSTRAINT "documents_metadata_check" CHECK (jsonb_typeof("metadata") = 'object'),
    ADD CONSTRAINT "documents_progress_check" CHECK ("progress" BETWEEN 0 AND 1),
    ADD CONSTRAINT "documents_version_check" CHECK ("version" >= 1 AND "indexed_version" <= "version"),
    ADD CONSTRAINT "documents_bytes_check" CHECK ("bytes" >= 0 AND "chunk_count" >= 0);
ALTER TABLE "chunks"
    ADD CONSTRAINT "chunks_place_check" CHECK ("seq" >= 1 AND "start_offset" >= 0 AND "end_offset" > "start_offset"),
    ADD CONSTRAINT "chunks_embedding_check" CHECK (("embedding" IS NULL) = ("embedding_model" IS NULL));

-- Packed already (PDF), or as good as random (vectors): packing costs time and wins nothing.
ALTER TABLE "document_contents" ALTER COLUMN "content" SET STORAGE EXTERNAL;
ALTER TABLE "chunks" ALTER COLUMN "embedding" SET STORAGE EXTERNAL;

-- What the watch over forgotten work looks for, in all tenants.
CREATE INDEX "documents_indexing" ON "documents"("updated_at") WHERE "status" = 'INDEXING';

-- With the tenant in the index, as for the search of messages; the condition always holds, and keeps the index out of
-- what the schema language has to describe.
DO $$
DECLARE
    tenant text := CASE WHEN EXISTS (SELECT FROM pg_extension WHERE extname = 'btree_gin') THEN '"tenant_id", ' ELSE '' END;
BEGIN
    EXECUTE format('CREATE INDEX "chunks_search" ON "chunks" USING GIN (%s"words") WHERE "words" IS NOT NULL', tenant);
END
$$;

DO $$
DECLARE
    table_name text;
    own_rows text := 'tenant_id = nullif(current_setting(''app.tenant'', true), '''')::uuid';
BEGIN
    FOREACH table_name IN ARRAY ARRAY['documents', 'document_contents', 'chunks', 'session_documents', 'citations'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', table_name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', table_name);
        EXECUTE format('CREATE POLICY own_tenant ON %I TO parley_app USING (%s) WITH CHECK (%2$s)', table_name, own_rows);
        EXECUTE format('CREATE POLICY every_tenant ON %I TO parley_system USING (true) WITH CHECK (true)', table_name);
    END LOOP;
END
$$;
