/** For `vi.waitFor` and `vi.waitUntil`, which give up after a second otherwise: a machine may have other things to do. */
export const patience = { timeout: 60_000, interval: 50 }
