-- Usage is rolled up anew, by day and month for users together with models and agents, too.
DELETE FROM "usage_rollups";
DELETE FROM "usage_horizons";

ALTER TABLE "usage_rollups"
    DROP CONSTRAINT "usage_rollups_group_by_check",
    ADD CONSTRAINT "usage_rollups_group_by_check" CHECK ("group_by" IN ('NONE', 'MODEL', 'AGENT', 'USER', 'MODEL_AGENT',
        'MODEL_USER', 'AGENT_USER', 'MODEL_AGENT_USER') AND ("interval" <> 'HOUR' OR "group_by" NOT LIKE '%\_USER'));
