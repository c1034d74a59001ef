/**
 * How to ask for what events and other people change. Apollo gives a second asker the answer that is under way already,
 * which may be from before the change; here each gets its own.
 */
export const readAnew = {
  fetchPolicy: 'cache-and-network',
  context: { queryDeduplication: false },
} as const
