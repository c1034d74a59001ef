-- Few sessions name a model of their own: only those are in the index, so that messages of all others cost nothing more.
CREATE INDEX "sessions_model" ON "sessions"("tenant_id", "model") WHERE "model" IS NOT NULL;
