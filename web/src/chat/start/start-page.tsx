import { useQuery } from '@apollo/client/react'
import { useEffect, useRef, useState } from 'react'
import { graphql } from '../../generated/gql.ts'
import { Composer } from '../conversation/composer.tsx'
import { nameOf } from '../ui/avatar.tsx'
import { IconButton } from '../ui/button.tsx'
import { icons } from '../ui/icons.tsx'
import { useViewer } from '../viewer.ts'
import styles from './start-page.module.css'
import { useFirstMessage } from './use-first-message.ts'

const choicesQuery = graphql(`
  query StartChoices {
    agents {
      id
      key
      name
      description
      isActive
    }
    templates(first: 20) {
      nodes {
        id
        name
        agent {
          id
          name
        }
      }
    }
  }
`)

/** Begins a conversation: with whom, and the first words. */
export function StartPage({ onOpenList }: { onOpenList: () => void }) {
  const { viewer } = useViewer()
  const { data } = useQuery(choicesQuery)
  const [chosen, setChosen] = useState<string | null>(null)
  const { begin, fault, isBeginning } = useFirstMessage()
  const composer = useRef<HTMLTextAreaElement>(null)
  // Arrow keys go on choosing.
  const isPointing = useRef(false)
  const agents = data?.agents.filter(({ isActive }) => isActive) ?? []
  const templates = data?.templates.nodes ?? []
  const usual = agents.find(({ key }) => key === 'primary') ?? agents[0]
  const agent = agents.find(({ id }) => id === chosen) ?? (chosen === null ? usual : undefined)
  const template = templates.find(({ id }) => id === chosen)

  useEffect(() => {
    document.title = 'Parley'
    if (matchMedia('(hover: hover)').matches) composer.current?.focus()
  }, [])

  return (
    <div className={styles.page}>
      <div className={styles.head}>
        <IconButton label="Show the list of conversations" icon={icons.menu} onClick={onOpenList} />
      </div>
      <div className={styles.middle}>
        <div className={styles.greeting}>
          <h1>{viewer ? `What is on your mind, ${nameOf(viewer.user).split(' ')[0]}?` : ' '}</h1>
        </div>
        <Composer
          ref={composer}
          label="Write the first message"
          draftKey="start"
          isReplying={isBeginning}
          onSend={(content) =>
            begin(content, template ? { template: template.id } : agent ? { agent: agent.key } : {})
          }
        />
        {fault && (
          <p className={styles.error} role="alert">
            {fault}
          </p>
        )}
        <fieldset
          className={styles.choices}
          onPointerDown={() => {
            isPointing.current = true
          }}
          onKeyDown={() => {
            isPointing.current = false
          }}
        >
          <legend className="visually-hidden">With whom</legend>
          {[...agents, ...templates].map(({ id, name }) => (
            <label key={id} className={styles.choice}>
              <input
                type="radio"
                name="agent"
                checked={id === (template ?? agent)?.id}
                onChange={() => {
                  setChosen(id)
                  if (isPointing.current) composer.current?.focus()
                }}
              />
              {name}
            </label>
          ))}
        </fieldset>
        <p className={styles.about}>
          {template
            ? `From a template${template.agent ? `, with ${template.agent.name}` : ''}.`
            : agent?.description}
        </p>
      </div>
    </div>
  )
}
