import type { ReactNode } from 'react'
import { useEffect, useState } from 'react'
import type { ExtraProps } from 'react-markdown'
import { CopyButton } from '../ui/copy-button.tsx'
import styles from './markdown.module.css'

/** Highlighting costs more than it gives beyond this many characters. */
const highlightedAtMost = 20_000

/** Code with its language and a button that copies it; colours come once the highlighter is loaded. */
export function CodeBlock({ node }: Pick<ExtraProps, 'node'>) {
  const [code] = node?.children ?? []
  const element = code?.type === 'element' ? code : undefined
  const [first] = element?.children ?? []
  const text = first?.type === 'text' ? first.value.replace(/\n$/, '') : ''
  const classes = element?.properties.className
  const language = Array.isArray(classes)
    ? classes
        .map(String)
        .find((name) => name.startsWith('language-'))
        ?.slice('language-'.length)
    : undefined
  const coloured = useHighlighted(text, language)
  return (
    <div className={styles.code}>
      <div className={styles.codeHead}>
        {language ?? 'text'}
        <CopyButton text={text} label="Copy code" />
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reached by the keyboard */}
      <pre tabIndex={0}>
        <code>{coloured ?? text}</code>
      </pre>
    </div>
  )
}

function useHighlighted(text: string, language: string | undefined) {
  const [result, setResult] = useState<{ text: string; coloured: ReactNode }>()
  useEffect(() => {
    if (!language || text.length > highlightedAtMost) return
    let isWanted = true
    import('./highlight.ts').then(
      ({ highlight }) => {
        if (isWanted) setResult({ text, coloured: highlight(text, language) })
      },
      // Without the highlighter the code is as readable.
      () => {},
    )
    return () => {
      isWanted = false
    }
  }, [text, language])
  return result?.text === text ? result.coloured : undefined
}
