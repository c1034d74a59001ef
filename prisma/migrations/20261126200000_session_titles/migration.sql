-- CreateTable
CREATE TABLE "session_titles" (
    "tenant_id" UUID NOT NULL,
    "session_id" UUID NOT NULL,
    "title" TEXT NOT NULL,

    CONSTRAINT "session_titles_pkey" PRIMARY KEY ("tenant_id","session_id")
);

-- AddForeignKey
ALTER TABLE "session_titles" ADD CONSTRAINT "session_titles_tenant_id_session_id_fkey" FOREIGN KEY ("tenant_id", "session_id") REFERENCES "sessions"("tenant_id", "id") ON DELETE CASCADE ON UPDATE CASCADE;

-- From here on by hand: what the schema language cannot say.

ALTER TABLE "session_titles" ENABLE ROW LEVEL SECURITY;
ALTER TABLE "session_titles" FORCE ROW LEVEL SECURITY;
CREATE POLICY own_tenant ON "session_titles" TO parley_app
    USING (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
    WITH CHECK (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
CREATE POLICY every_tenant ON "session_titles" TO parley_system USING (true) WITH CHECK (true);

-- Every message writes the row of its session anew, and with it each index that the row is in. A title changes seldom: its
-- indexes are on a copy of it, which whoever writes a title keeps.
CREATE FUNCTION "keep_session_title"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW."title" IS NULL THEN
        DELETE FROM "public"."session_titles" WHERE "tenant_id" = NEW."tenant_id" AND "session_id" = NEW."id";
    ELSE
        INSERT INTO "public"."session_titles" ("tenant_id", "session_id", "title")
            VALUES (NEW."tenant_id", NEW."id", NEW."title")
            ON CONFLICT ("tenant_id", "session_id") DO UPDATE SET "title" = excluded."title";
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER "keep_new_title" AFTER INSERT ON "sessions"
    FOR EACH ROW WHEN (NEW."title" IS NOT NULL) EXECUTE FUNCTION "keep_session_title"();
CREATE TRIGGER "keep_changed_title" AFTER UPDATE OF "title" ON "sessions"
    FOR EACH ROW WHEN (OLD."title" IS DISTINCT FROM NEW."title") EXECUTE FUNCTION "keep_session_title"();

-- What a text is found by that stands anywhere in a title: its characters, and each two that stand together. Trigrams of
-- pg_trgm know neither a term of two characters, as words of Chinese are, nor, in the locale of the built-in database, any
-- letter beyond ASCII.
CREATE FUNCTION "title_parts"(title text) RETURNS text[] LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    letters text[] := string_to_array(lower(title), NULL);
    parts text[] := letters;
BEGIN
    FOR place IN 2 .. cardinality(letters) LOOP
        parts := parts || (letters[place - 1] || letters[place]);
    END LOOP;
    RETURN parts;
END
$$;

SET LOCAL ROLE parley_system;
INSERT INTO "session_titles" SELECT "tenant_id", "id", "title" FROM "sessions" WHERE "title" IS NOT NULL;
RESET ROLE;

-- With the tenant in the indexes, as for the search of messages; the condition always holds, and keeps the indexes out of
-- what the schema language has to describe.
DROP INDEX "sessions_search";
DO $$
DECLARE
    tenant text := CASE WHEN EXISTS (SELECT FROM pg_extension WHERE extname = 'btree_gin') THEN '"tenant_id", ' ELSE '' END;
BEGIN
    EXECUTE format('CREATE INDEX "session_titles_search" ON "session_titles" USING GIN (%sto_tsvector(''public.parley'', "title"))
        WHERE "title" IS NOT NULL', tenant);
    EXECUTE format('CREATE INDEX "session_titles_parts" ON "session_titles" USING GIN (%s"public"."title_parts"("title"))
        WHERE "title" IS NOT NULL', tenant);
END
$$;
