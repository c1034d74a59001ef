-- CreateEnum
CREATE TYPE "UsageInterval" AS ENUM ('HOUR', 'DAY', 'MONTH');

-- CreateEnum
CREATE TYPE "UsageRollupGroup" AS ENUM ('NONE', 'MODEL', 'AGENT', 'USER');

-- CreateTable
CREATE TABLE "usage_rollups" (
    "tenant_id" UUID NOT NULL,
    "interval" "UsageInterval" NOT NULL,
    "group_by" "UsageRollupGroup" NOT NULL,
    "start" TIMESTAMPTZ(3) NOT NULL,
    "key" TEXT NOT NULL,
    "sessions" INTEGER NOT NULL,
    "messages" INTEGER NOT NULL,
    "runs" INTEGER NOT NULL,
    "failures" INTEGER NOT NULL,
    "input_tokens" DOUBLE PRECISION NOT NULL,
    "output_tokens" DOUBLE PRECISION NOT NULL,
    "cached_input_tokens" DOUBLE PRECISION NOT NULL,
    "cost" DECIMAL(38,9) NOT NULL,
    "time_to_first_token_p50_ms" INTEGER,
    "time_to_first_token_p95_ms" INTEGER,

    CONSTRAINT "usage_rollups_pkey" PRIMARY KEY ("tenant_id","interval","group_by","start","key")
);

-- CreateTable
CREATE TABLE "usage_horizons" (
    "tenant_id" UUID NOT NULL,
    "until" TIMESTAMPTZ(3),
    "next_until" TIMESTAMPTZ(3),
    "next_xid" BIGINT,

    CONSTRAINT "usage_horizons_pkey" PRIMARY KEY ("tenant_id")
);

-- CreateTable
CREATE TABLE "usage_changes" (
    "tenant_id" UUID NOT NULL,
    "at" TIMESTAMPTZ(3) NOT NULL,
    "id" UUID NOT NULL DEFAULT gen_random_uuid(),

    CONSTRAINT "usage_changes_pkey" PRIMARY KEY ("tenant_id","at","id")
);

-- AddForeignKey
ALTER TABLE "usage_rollups" ADD CONSTRAINT "usage_rollups_tenant_id_fkey" FOREIGN KEY ("tenant_id") REFERENCES "tenants"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "usage_horizons" ADD CONSTRAINT "usage_horizons_tenant_id_fkey" FOREIGN KEY ("tenant_id") REFERENCES "tenants"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "usage_changes" ADD CONSTRAINT "usage_changes_tenant_id_fkey" FOREIGN KEY ("tenant_id") REFERENCES "tenants"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- From here on by hand: what the schema language cannot say.

DO $$
DECLARE
    table_name text;
    own_rows text := 'tenant_id = nullif(current_setting(''app.tenant'', true), '''')::uuid';
BEGIN
    FOREACH table_name IN ARRAY ARRAY['usage_rollups', 'usage_horizons', 'usage_changes'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', table_name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', table_name);
        EXECUTE format('CREATE POLICY own_tenant ON %I TO parley_app USING (%s) WITH CHECK (%2$s)', table_name, own_rows);
        EXECUTE format('CREATE POLICY every_tenant ON %I TO parley_system USING (true) WITH CHECK (true)', table_name);
    END LOOP;
END
$$;

-- Whoever changes what may be rolled up leaves word of it in the same transaction, once for each hour. What is younger than
-- an hour is left out: it is rolled up when all are over who wrote then (features/stats/rollup.ts). So messages, and the ends
-- of runs, cost a comparison as they come. That is with the clock, and not with the beginning of their transaction.
-- Of a tenant that goes nothing is to be told.
CREATE FUNCTION "usage_changed"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        INSERT INTO public.usage_changes (tenant_id, at)
        SELECT t.id, hour FROM public.tenants t, date_trunc('hour', OLD.created_at, 'UTC') AS hour
        WHERE t.id = OLD.tenant_id AND NOT EXISTS (SELECT FROM public.usage_changes c
            WHERE c.tenant_id = OLD.tenant_id AND c.at = hour AND c.xmin = pg_current_xact_id()::xid);
    END IF;
    IF TG_OP = 'INSERT' OR (TG_OP = 'UPDATE' AND NEW.created_at <> OLD.created_at) THEN
        INSERT INTO public.usage_changes (tenant_id, at)
        SELECT t.id, hour FROM public.tenants t, date_trunc('hour', NEW.created_at, 'UTC') AS hour
        WHERE t.id = NEW.tenant_id AND NOT EXISTS (SELECT FROM public.usage_changes c
            WHERE c.tenant_id = NEW.tenant_id AND c.at = hour AND c.xmin = pg_current_xact_id()::xid);
    END IF;
    RETURN NULL;
END
$$;

-- Messages count for the owner of their session, and those without an agent for that of their session.
CREATE FUNCTION "usage_changed_with_session"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO public.usage_changes (tenant_id, at)
    SELECT DISTINCT m.tenant_id, date_trunc('hour', m.created_at, 'UTC') FROM public.messages m
    WHERE m.tenant_id = NEW.tenant_id AND m.session_id = NEW.id;
    RETURN NULL;
END
$$;

CREATE TRIGGER "usage_changed_by_insert" AFTER INSERT ON "messages" FOR EACH ROW
    WHEN (NEW.created_at < clock_timestamp() - interval '1 hour') EXECUTE FUNCTION "usage_changed"();
CREATE TRIGGER "usage_changed_by_update" AFTER UPDATE OF "created_at", "session_id", "agent_id", "model" ON "messages" FOR EACH ROW
    WHEN (least(OLD.created_at, NEW.created_at) < clock_timestamp() - interval '1 hour') EXECUTE FUNCTION "usage_changed"();
CREATE TRIGGER "usage_changed_by_delete" AFTER DELETE ON "messages" FOR EACH ROW
    WHEN (OLD.created_at < clock_timestamp() - interval '1 hour') EXECUTE FUNCTION "usage_changed"();

CREATE TRIGGER "usage_changed_by_insert" AFTER INSERT ON "usage_records" FOR EACH ROW
    WHEN (NEW.created_at < clock_timestamp() - interval '1 hour') EXECUTE FUNCTION "usage_changed"();
CREATE TRIGGER "usage_changed_by_update" AFTER UPDATE ON "usage_records" FOR EACH ROW
    WHEN (least(OLD.created_at, NEW.created_at) < clock_timestamp() - interval '1 hour') EXECUTE FUNCTION "usage_changed"();
CREATE TRIGGER "usage_changed_by_delete" AFTER DELETE ON "usage_records" FOR EACH ROW
    WHEN (OLD.created_at < clock_timestamp() - interval '1 hour') EXECUTE FUNCTION "usage_changed"();

CREATE TRIGGER "usage_changed_by_update" AFTER UPDATE OF "user_id", "agent_id", "is_stateless" ON "sessions" FOR EACH ROW
    WHEN ((OLD.user_id, OLD.agent_id, OLD.is_stateless) IS DISTINCT FROM (NEW.user_id, NEW.agent_id, NEW.is_stateless))
    EXECUTE FUNCTION "usage_changed_with_session"();
