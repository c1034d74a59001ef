-- Usage is rolled up anew: for models and agents together, too, and by days from which parts of months add up.
DELETE FROM "usage_rollups";
DELETE FROM "usage_horizons";

-- DropIndex
DROP INDEX "usage_rollups_tenant_id_key_idx";

-- AlterTable
ALTER TABLE "usage_rollups" DROP CONSTRAINT "usage_rollups_pkey",
DROP COLUMN "key",
ADD COLUMN     "agent_id" TEXT NOT NULL,
ADD COLUMN     "first_token_ms" INTEGER[],
ADD COLUMN     "first_tokens" INTEGER[],
ADD COLUMN     "model" TEXT NOT NULL,
ADD COLUMN     "returned" INTEGER[],
ADD COLUMN     "returned_from" INTEGER[],
ADD COLUMN     "user_id" TEXT NOT NULL,
DROP COLUMN "interval",
ADD COLUMN     "interval" TEXT NOT NULL,
DROP COLUMN "group_by",
ADD COLUMN     "group_by" TEXT NOT NULL,
ADD CONSTRAINT "usage_rollups_pkey" PRIMARY KEY ("tenant_id", "interval", "group_by", "start", "model", "agent_id", "user_id");

-- DropEnum
DROP TYPE "UsageInterval";

-- DropEnum
DROP TYPE "UsageRollupGroup";

-- CreateIndex
CREATE INDEX "usage_rollups_tenant_id_user_id_interval_group_by_start_idx" ON "usage_rollups"("tenant_id", "user_id", "interval", "group_by", "start");

-- DropIndex
DROP INDEX "usage_records_tenant_id_session_id_idx";

-- CreateIndex
CREATE INDEX "usage_records_tenant_id_session_id_created_at_idx" ON "usage_records"("tenant_id", "session_id", "created_at");

-- From here on by hand: what the schema language cannot say.
ALTER TABLE "usage_rollups"
    ADD CONSTRAINT "usage_rollups_interval_check" CHECK ("interval" IN ('HOUR', 'DAY', 'MONTH')),
    ADD CONSTRAINT "usage_rollups_group_by_check" CHECK ("group_by" IN ('NONE', 'MODEL', 'AGENT', 'USER', 'MODEL_AGENT'));
