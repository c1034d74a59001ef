-- AlterTable
ALTER TABLE "chunks" DROP COLUMN "embedding",
ADD COLUMN     "coarse_embedding" BYTEA,
ADD COLUMN     "embedding" REAL[];

-- From here on by hand: what the schema language cannot say.

-- Vectors are made anew, by the watch over documents that lack them: no statement reads numbers out of bytes.
UPDATE "chunks" SET "embedding_model" = NULL WHERE "embedding_model" IS NOT NULL;
UPDATE "documents" SET "embedding_model" = NULL WHERE "embedding_model" IS NOT NULL;

ALTER TABLE "chunks"
    ADD CONSTRAINT "chunks_embedding_check" CHECK (
        ("embedding" IS NULL) = ("embedding_model" IS NULL) AND ("coarse_embedding" IS NULL) = ("embedding_model" IS NULL));

-- As good as random: packing costs time and wins nothing.
ALTER TABLE "chunks" ALTER COLUMN "embedding" SET STORAGE EXTERNAL,
    ALTER COLUMN "coarse_embedding" SET STORAGE EXTERNAL;
