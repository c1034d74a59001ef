-- AlterTable
ALTER TABLE "model_settings" ALTER COLUMN "is_allowed" DROP NOT NULL,
ALTER COLUMN "is_allowed" DROP DEFAULT;

-- From here on by hand: what the schema language cannot say.

-- What was never forbidden is as the tenant has it for all. Row-level security would keep an UPDATE from seeing the rows.
ALTER TABLE "model_settings" ALTER COLUMN "is_allowed" TYPE BOOLEAN USING nullif("is_allowed", true);
