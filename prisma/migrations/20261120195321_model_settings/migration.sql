-- CreateTable
CREATE TABLE "model_settings" (
    "tenant_id" UUID NOT NULL,
    "model" TEXT NOT NULL,
    "parameters" JSONB NOT NULL DEFAULT '{}',
    "is_allowed" BOOLEAN NOT NULL DEFAULT true,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "model_settings_pkey" PRIMARY KEY ("tenant_id","model")
);

-- AddForeignKey
ALTER TABLE "model_settings" ADD CONSTRAINT "model_settings_tenant_id_fkey" FOREIGN KEY ("tenant_id") REFERENCES "tenants"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- From here on by hand: what the schema language cannot say.

ALTER TABLE "model_settings"
    ADD CONSTRAINT "model_settings_parameters_check" CHECK (jsonb_typeof("parameters") = 'object');

ALTER TABLE "model_settings" ENABLE ROW LEVEL SECURITY;
ALTER TABLE "model_settings" FORCE ROW LEVEL SECURITY;
CREATE POLICY own_tenant ON "model_settings" TO parley_app
    USING (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
    WITH CHECK (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
CREATE POLICY every_tenant ON "model_settings" TO parley_system USING (true) WITH CHECK (true);
