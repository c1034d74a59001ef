-- Whoever erases a person finds by these what it left, without reading all of the tenant.

-- CreateIndex
CREATE INDEX "templates_tenant_id_author_id_idx" ON "templates"("tenant_id", "author_id");

-- CreateIndex
CREATE INDEX "usage_rollups_tenant_id_key_idx" ON "usage_rollups"("tenant_id", "key");

-- From here on by hand: what the schema language cannot say.
CREATE INDEX "sessions_stateless_of_user" ON "sessions"("tenant_id", "user_id") WHERE "is_stateless";
