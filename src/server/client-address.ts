import type { IncomingMessage } from 'node:http'
import { isIP, isIPv6 } from 'node:net'

/** Names where a request comes from, for counting. */
export type ClientAddress = (request: IncomingMessage) => string

/**
 * Each proxy adds the address that it saw to the end of X-Forwarded-For; what stands before the entries of the trusted
 * ones is the caller's own word. `onUntrusted` is called once, where a header comes and nobody is trusted.
 */
export function createClientAddress(trustedProxyHops: number, onUntrusted: () => void): ClientAddress {
  let isTold = false
  return ({ headers, socket }) => {
    const seen = socket.remoteAddress ?? ''
    if (trustedProxyHops === 0) {
      if (headers['x-forwarded-for'] !== undefined && !isTold) {
        isTold = true
        onUntrusted()
      }
      return networkOf(seen)
    }
    const forwarded = String(headers['x-forwarded-for'] ?? '')
      .split(',')
      .map((entry) => entry.trim())
      .filter(Boolean)
    return networkOf(addressIn(forwarded.at(-trustedProxyHops) ?? forwarded[0] ?? '') ?? seen)
  }
}

/** Some proxies write the port behind it, which differs by connection. Null where it is no address: that names nobody. */
function addressIn(entry: string): string | null {
  const inBrackets = /^\[([^\]]*)\](?::\d+)?$/.exec(entry)?.[1]
  const plain = inBrackets ?? (isIP(entry) ? entry : entry.replace(/:\d+$/, ''))
  return isIP(plain) ? plain : null
}

/** Who has one IPv6 address has 2^64 of them: the first half stands for all. */
export function networkOf(address: string): string {
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, '').replace(/%.*/, '')
  if (!isIPv6(plain)) return plain
  const [head = '', tail] = plain.split('::')
  const first = head.split(':').filter(Boolean)
  const last = tail?.split(':').filter(Boolean) ?? []
  const groups = [...first, ...Array(Math.max(0, 8 - first.length - last.length)).fill('0'), ...last]
  return `${groups.slice(0, 4).join(':')}::/64`
}
