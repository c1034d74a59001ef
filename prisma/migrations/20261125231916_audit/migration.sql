-- CreateTable
CREATE TABLE "token_revocations" (
    "tenant_id" UUID NOT NULL,
    "id" UUID NOT NULL,
    "user_id" UUID,
    "token_id" TEXT,
    "revoked_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "token_revocations_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "audit_entries" (
    "tenant_id" UUID NOT NULL,
    "id" UUID NOT NULL,
    "action" TEXT NOT NULL,
    "actor_id" UUID NOT NULL,
    "actor_role" "UserRole" NOT NULL,
    "target" TEXT,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "audit_entries_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateIndex
CREATE INDEX "token_revocations_revoked_at_idx" ON "token_revocations"("revoked_at");

-- CreateIndex
CREATE UNIQUE INDEX "token_revocations_tenant_id_user_id_key" ON "token_revocations"("tenant_id", "user_id");

-- CreateIndex
CREATE UNIQUE INDEX "token_revocations_tenant_id_token_id_key" ON "token_revocations"("tenant_id", "token_id");

-- CreateIndex
CREATE INDEX "audit_entries_tenant_id_actor_id_id_idx" ON "audit_entries"("tenant_id", "actor_id", "id" DESC);

-- CreateIndex
CREATE INDEX "audit_entries_created_at_idx" ON "audit_entries"("created_at");

-- AddForeignKey
ALTER TABLE "token_revocations" ADD CONSTRAINT "token_revocations_tenant_id_fkey" FOREIGN KEY ("tenant_id") REFERENCES "tenants"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "audit_entries" ADD CONSTRAINT "audit_entries_tenant_id_fkey" FOREIGN KEY ("tenant_id") REFERENCES "tenants"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- From here on by hand: what the schema language cannot say.

ALTER TABLE "token_revocations"
    ADD CONSTRAINT "token_revocations_names_one_check" CHECK (num_nonnulls("user_id", "token_id") = 1);

ALTER TABLE "token_revocations" ENABLE ROW LEVEL SECURITY;
ALTER TABLE "token_revocations" FORCE ROW LEVEL SECURITY;
CREATE POLICY own_tenant ON "token_revocations" TO parley_app
    USING (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
    WITH CHECK (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
CREATE POLICY every_tenant ON "token_revocations" TO parley_system USING (true) WITH CHECK (true);

ALTER TABLE "audit_entries" ENABLE ROW LEVEL SECURITY;
ALTER TABLE "audit_entries" FORCE ROW LEVEL SECURITY;
CREATE POLICY own_tenant ON "audit_entries" TO parley_app
    USING (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
    WITH CHECK (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
CREATE POLICY every_tenant ON "audit_entries" TO parley_system USING (true) WITH CHECK (true);

-- What was done stays told: nobody who asks for a tenant can change or remove an entry.
REVOKE UPDATE, DELETE ON "audit_entries" FROM parley_app;
