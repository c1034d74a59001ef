/** Settings of a server whose callers are many users in one: it counts nothing by the second or minute. */
export const noRates = {
  NEW_CONNECTIONS_PER_ADDRESS: '0',
  NEW_CONNECTIONS_PER_NODE: '0',
  REQUESTS_PER_SECOND: '0',
  SERVICE_REQUESTS_PER_SECOND: '0',
  OPERATIONS_PER_SECOND: '0',
  SENDS_PER_MINUTE: '0',
  SENDS_PER_MINUTE_PER_TENANT: '0',
}
