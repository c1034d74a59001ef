-- CreateEnum
CREATE TYPE "MemorySource" AS ENUM ('CLIENT', 'MODEL');

-- CreateTable
CREATE TABLE "memories" (
    "tenant_id" UUID NOT NULL,
    "id" UUID NOT NULL,
    "user_id" UUID,
    "session_id" UUID,
    "key" TEXT NOT NULL,
    "value" JSONB NOT NULL,
    "source" "MemorySource" NOT NULL,
    "expires_at" TIMESTAMPTZ(3),
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "memories_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateIndex
CREATE UNIQUE INDEX "memories_tenant_id_user_id_key_key" ON "memories"("tenant_id", "user_id", "key");

-- CreateIndex
CREATE UNIQUE INDEX "memories_tenant_id_session_id_key_key" ON "memories"("tenant_id", "session_id", "key");

-- AddForeignKey
ALTER TABLE "memories" ADD CONSTRAINT "memories_tenant_id_user_id_fkey" FOREIGN KEY ("tenant_id", "user_id") REFERENCES "users"("tenant_id", "id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "memories" ADD CONSTRAINT "memories_tenant_id_session_id_fkey" FOREIGN KEY ("tenant_id", "session_id") REFERENCES "sessions"("tenant_id", "id") ON DELETE CASCADE ON UPDATE CASCADE;
-- From here on by hand: what the schema language cannot say.

-- Of one owner; a value that is JSON's null would be the same as none.
ALTER TABLE "memories"
    ADD CONSTRAINT "memories_owner_check" CHECK (num_nonnulls("user_id", "session_id") = 1),
    ADD CONSTRAINT "memories_value_check" CHECK ("value" <> 'null'::jsonb);

-- What retention looks for, in all tenants.
CREATE INDEX "memories_expiry" ON "memories"("expires_at") WHERE "expires_at" IS NOT NULL;

ALTER TABLE "memories" ENABLE ROW LEVEL SECURITY;
ALTER TABLE "memories" FORCE ROW LEVEL SECURITY;
CREATE POLICY own_tenant ON "memories" TO parley_app
    USING (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
    WITH CHECK (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
CREATE POLICY every_tenant ON "memories" TO parley_system USING (true) WITH CHECK (true);
