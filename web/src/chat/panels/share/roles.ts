/** What a role may do in a session, in words for people. */
export const roles = [
  { role: 'VIEWER', name: 'Viewer', may: 'Reads along, live. Can fork the conversation and export it.' },
  {
    role: 'EDITOR',
    name: 'Editor',
    may: 'Also writes, stops and repeats replies, and changes model, documents, memory and title.',
  },
  { role: 'OWNER', name: 'Owner', may: 'Also shares, deletes and restores the conversation.' },
] as const

export type Role = (typeof roles)[number]['role']

export const nameOfRole = (role: Role): string => roles.find((each) => each.role === role)?.name ?? role
