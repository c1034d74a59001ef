/** Joins the two halves of a character that come in two pieces; gives what of each piece is whole. */
export function createWholeCharacters(): (piece: string) => string {
  let half = ''
  return (piece) => {
    const text = half + piece
    half = /[\ud800-\udbff]$/.exec(text)?.[0] ?? ''
    return text.slice(0, text.length - half.length)
  }
}
