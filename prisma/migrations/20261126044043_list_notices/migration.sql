-- CreateTable
CREATE TABLE "list_notices" (
    "tenant_id" UUID NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "id" UUID NOT NULL,
    "user_id" UUID,

    CONSTRAINT "list_notices_pkey" PRIMARY KEY ("tenant_id","created_at","id")
);

-- AddForeignKey
ALTER TABLE "list_notices" ADD CONSTRAINT "list_notices_tenant_id_fkey" FOREIGN KEY ("tenant_id") REFERENCES "tenants"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "list_notices" ADD CONSTRAINT "list_notices_tenant_id_user_id_fkey" FOREIGN KEY ("tenant_id", "user_id") REFERENCES "users"("tenant_id", "id") ON DELETE CASCADE ON UPDATE CASCADE;

-- From here on by hand: what the schema language cannot say.

ALTER TABLE "list_notices" ENABLE ROW LEVEL SECURITY;
ALTER TABLE "list_notices" FORCE ROW LEVEL SECURITY;
CREATE POLICY own_tenant ON "list_notices" TO parley_app
    USING (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
    WITH CHECK (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
CREATE POLICY every_tenant ON "list_notices" TO parley_system USING (true) WITH CHECK (true);
