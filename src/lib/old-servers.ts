/** The first releases without a known hole, each of its line, which all numbers but the last name. */
const floors = {
  PostgreSQL: ['15.18', '16.14', '17.10', '18.4'],
  Redis: ['8.2.2', '8.6.3'],
}

/**
 * What to tell whoever runs a server of this version, such as `15.20 (Debian 15.20-0)`; null where nothing is known
 * against it. Vendors mend old releases, too, so that this is a warning and no reason to stop.
 */
export function faultOf(name: keyof typeof floors, version: string): string | null {
  const [line, last] = split(/^[\d.]+/.exec(version)?.[0] ?? '')
  const floor = floors[name].find((each) => split(each)[0] === line)
  if (floor === undefined || last >= split(floor)[1]) return null
  return `${name} ${version} has known holes: upgrade it to ${floor} or newer`
}

function split(version: string): [line: string, last: number] {
  const at = version.lastIndexOf('.')
  return [version.slice(0, at), Number(version.slice(at + 1))]
}
