import { deflateSync } from 'node:zlib'

type PdfOptions = {
  /** What the catalog says of the number of pages. */
  count?: number
  isEncrypted?: boolean
  /** In place of the packed content of each page. */
  packed?: Buffer<ArrayBuffer>
}

/** A PDF of these pages, each as lines of text. */
export function pdfOf(
  pages: readonly string[],
  { count, isEncrypted, packed }: PdfOptions = {},
): Buffer<ArrayBuffer> {
  const objects: Buffer<ArrayBuffer>[] = []
  const add = (body: string | Buffer) => objects.push(Buffer.from(body as string))
  const font = add('<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>')
  const tree = 2 + pages.length * 2
  const kids = pages.map((page) => {
    const lines = page.split('\n').map((line) => `(${line.replace(/[()\\]/g, '\\$&')}) Tj T*`)
    const stream = packed ?? deflateSync(`BT /F1 12 Tf 14 TL 72 720 Td ${lines.join(' ')} ET`)
    const head = `<< /Length ${stream.length} /Filter /FlateDecode >>\nstream\n`
    const content = add(Buffer.concat([Buffer.from(head), stream, Buffer.from('\nendstream')]))
    const resources = `/MediaBox [0 0 612 792] /Resources << /Font << /F1 ${font} 0 R >> >>`
    return add(`<< /Type /Page /Parent ${tree} 0 R ${resources} /Contents ${content} 0 R >>`)
  })
  add(`<< /Type /Pages /Kids [${kids.map((id) => `${id} 0 R`).join(' ')}] /Count ${count ?? kids.length} >>`)
  const catalog = add(`<< /Type /Catalog /Pages ${tree} 0 R >>`)
  const locked = '0'.repeat(32)
  const encryption = `/Encrypt << /Filter /Standard /V 1 /R 2 /O (${locked}) /U (${locked}) /P -1 >> /ID [(a) (b)]`
  const parts: Uint8Array[] = [Buffer.from('%PDF-1.4\n')]
  const places = objects.map((body, index) => {
    const at = Buffer.concat(parts).length
    parts.push(Buffer.from(`${index + 1} 0 obj\n`), body, Buffer.from('\nendobj\n'))
    return `${String(at).padStart(10, '0')} 00000 n \n`
  })
  const table = `xref\n0 ${objects.length + 1}\n0000000000 65535 f \n${places.join('')}`
  const trailer = `trailer\n<< /Size ${objects.length + 1} /Root ${catalog} 0 R ${isEncrypted ? encryption : ''} >>`
  const start = Buffer.concat(parts).length
  return Buffer.concat([...parts, Buffer.from(`${table}${trailer}\nstartxref\n${start}\n%%EOF`)])
}
