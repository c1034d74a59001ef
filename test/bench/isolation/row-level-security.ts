import { query } from '../../support/postgres.ts'

/** Of all tables that have policies. */
export const setRowLevelSecurity = (url: string, isOn: boolean) =>
  query(
    url,
    `DO $$ DECLARE name text; BEGIN
       FOR name IN SELECT DISTINCT tablename FROM pg_policies WHERE schemaname = 'public' LOOP
         EXECUTE format('ALTER TABLE %I ${isOn ? 'ENABLE' : 'DISABLE'} ROW LEVEL SECURITY', name);
       END LOOP;
     END $$`,
  )
