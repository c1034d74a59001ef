type Answer = { errors?: { message: string; extensions?: { code?: string } }[] }

/** Why the server does not take the token, or null. Where it cannot say, the editor shows best what is wrong. */
export async function refusalOf(token: string, endpoint: string): Promise<string | null> {
  const request = {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
    body: JSON.stringify({ query: '{ viewer { role } }' }),
  }
  const answer: Answer = await fetch(endpoint, request)
    .then((response) => response.json())
    .catch(() => ({}))
  const refused = answer.errors?.find(({ extensions }) => extensions?.code === 'UNAUTHENTICATED')
  return refused?.message ?? null
}
