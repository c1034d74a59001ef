-- CreateIndex
CREATE INDEX "documents_tenant_id_status_id_idx" ON "documents"("tenant_id", "status", "id" DESC);

-- From here on by hand: what the schema language cannot say.

-- Who imports, or erases, a long past notes each of its hours once: a transaction remembers which one it noted last, and
-- only looks where that is another. Rows mostly come in the order of time, and to look at each cost more than to store it.
-- A setting that is local to a transaction is taken back with a savepoint, as the note is.
CREATE FUNCTION "note_usage_change"(tenant uuid, moment timestamptz) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    hour timestamptz := date_trunc('hour', moment, 'UTC');
    note text := tenant || ' ' || extract(epoch FROM hour);
BEGIN
    IF current_setting('parley.usage_noted', true) = note THEN
        RETURN;
    END IF;
    INSERT INTO public.usage_changes (tenant_id, at)
    SELECT t.id, hour FROM public.tenants t
    WHERE t.id = tenant AND NOT EXISTS (SELECT FROM public.usage_changes c
        WHERE c.tenant_id = tenant AND c.at = hour AND c.xmin = pg_current_xact_id()::xid);
    PERFORM set_config('parley.usage_noted', note, true);
END
$$;

CREATE OR REPLACE FUNCTION "usage_changed"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        PERFORM public.note_usage_change(OLD.tenant_id, OLD.created_at);
    END IF;
    IF TG_OP = 'INSERT' OR (TG_OP = 'UPDATE' AND NEW.created_at <> OLD.created_at) THEN
        PERFORM public.note_usage_change(NEW.tenant_id, NEW.created_at);
    END IF;
    RETURN NULL;
END
$$;
