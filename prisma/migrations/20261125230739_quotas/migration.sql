-- CreateEnum
CREATE TYPE "UsageKind" AS ENUM ('RUN', 'EMBEDDING');

-- CreateEnum
CREATE TYPE "QuotaPeriod" AS ENUM ('DAY', 'MONTH');

-- AlterTable
ALTER TABLE "usage_records" ADD COLUMN     "kind" "UsageKind" NOT NULL DEFAULT 'RUN',
ALTER COLUMN "session_id" DROP NOT NULL;

-- AlterTable
ALTER TABLE "messages" ADD COLUMN     "cached_input_tokens" INTEGER;

-- CreateTable
CREATE TABLE "usage_days" (
    "tenant_id" UUID NOT NULL,
    "subject_id" UUID NOT NULL,
    "day" DATE NOT NULL,
    "lane" SMALLINT NOT NULL,
    "tokens" BIGINT NOT NULL,
    "cost" DECIMAL(18,9) NOT NULL,

    CONSTRAINT "usage_days_pkey" PRIMARY KEY ("tenant_id","subject_id","day","lane")
);

-- CreateTable
CREATE TABLE "quotas" (
    "tenant_id" UUID NOT NULL,
    "subject_id" UUID NOT NULL,
    "period" "QuotaPeriod" NOT NULL,
    "tokens" BIGINT,
    "cost" DECIMAL(18,9),
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "quotas_pkey" PRIMARY KEY ("tenant_id","subject_id","period")
);

-- AddForeignKey
ALTER TABLE "usage_days" ADD CONSTRAINT "usage_days_tenant_id_fkey" FOREIGN KEY ("tenant_id") REFERENCES "tenants"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "quotas" ADD CONSTRAINT "quotas_tenant_id_fkey" FOREIGN KEY ("tenant_id") REFERENCES "tenants"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- From here on by hand: what the schema language cannot say.

ALTER TABLE "usage_days" ADD CONSTRAINT "usage_days_amounts_check" CHECK ("tokens" >= 0 AND "cost" >= 0);
ALTER TABLE "quotas"
    ADD CONSTRAINT "quotas_amounts_check" CHECK (coalesce("tokens", 0) >= 0 AND coalesce("cost", 0) >= 0
        AND ("tokens" IS NOT NULL OR "cost" IS NOT NULL));

-- What was used so far counts.
INSERT INTO "usage_days" ("tenant_id", "subject_id", "day", "lane", "tokens", "cost")
SELECT u.tenant_id, subject_id, (u.created_at AT TIME ZONE 'UTC')::date, 0, sum(u.input_tokens::bigint + u.output_tokens), sum(u.cost)
FROM usage_records u, unnest(ARRAY[u.user_id, u.tenant_id]) AS subject_id GROUP BY 1, 2, 3;

DO $$
DECLARE
    table_name text;
    own_rows text := 'tenant_id = nullif(current_setting(''app.tenant'', true), '''')::uuid';
BEGIN
    FOREACH table_name IN ARRAY ARRAY['usage_days', 'quotas'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', table_name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', table_name);
        EXECUTE format('CREATE POLICY own_tenant ON %I TO parley_app USING (%s) WITH CHECK (%2$s)', table_name, own_rows);
        EXECUTE format('CREATE POLICY every_tenant ON %I TO parley_system USING (true) WITH CHECK (true)', table_name);
    END LOOP;
END
$$;
