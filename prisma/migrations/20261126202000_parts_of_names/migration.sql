-- CreateIndex
CREATE INDEX "audit_entries_tenant_id_action_id_idx" ON "audit_entries"("tenant_id", "action", "id" DESC);

-- From here on by hand: what the schema language cannot say.

-- Parts of names and titles, as those of sessions are found; the conditions always hold.
DO $$
DECLARE
    tenant text := CASE WHEN EXISTS (SELECT FROM pg_extension WHERE extname = 'btree_gin') THEN '"tenant_id", ' ELSE '' END;
BEGIN
    EXECUTE format('CREATE INDEX "users_parts" ON "users" USING GIN (%s"public"."title_parts"(
        coalesce("name", '''') || E''\n'' || coalesce("email", '''') || E''\n'' || "external_id")) WHERE "external_id" IS NOT NULL', tenant);
    EXECUTE format('CREATE INDEX "documents_parts" ON "documents" USING GIN (%s"public"."title_parts"("title"))
        WHERE "title" IS NOT NULL', tenant);
END
$$;
