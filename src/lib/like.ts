/** The text as a pattern of LIKE that stands for itself: three characters have a meaning of their own there. */
export const escapeLike = (text: string): string => text.replace(/[\\%_]/g, '\\$&')
